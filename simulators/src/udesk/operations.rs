//! The 26 operations of ccapi/v2, in the document's order.
//!
//! A row holds every check that does not depend on what the operation does: method, path, spelling of the application
//! ID, query parameters, content type, and the body's fields with their types. A handler holds the rest.

use super::{
    agents, callback, extensions, numbers,
    operation::{ContentType, Envelope, Field, Handler, Kind, Operation, Parameter, ResultType},
    queues, roster, sessions, subscriptions,
};

/// The operation of a request.
#[derive(Clone)]
pub(super) enum Route {
    /// This operation, with the ID in the path.
    Operation(&'static Operation, String),
    /// None, but the path has these methods.
    WrongMethod(String),
    /// None.
    Unknown,
}

/// Every operation; the index is the document's number less one.
#[rustfmt::skip]
pub(super) static OPERATIONS: &[Operation] = &[
    get(1, "/ccapi/v2/spnumbers", numbers::list),
    put(2, "/ccapi/v2/spnumbers/default", numbers::set_default).body(&[text("DefSpNumber")]),
    delete(3, "/ccapi/v2/spnumbers/default", numbers::clear_default),
    post(4, "/ccapi/v2/agents", agents::create).body(&CREATE_AGENT),
    put(5, "/ccapi/v2/agents/{id}", agents::modify).body(&MODIFY_AGENT),
    get(6, "/ccapi/v2/agents", roster::list).parameters(&AGENT_FILTERS).success(""),
    post(7, "/ccapi/v2/agents/extensions", extensions::bind).body(&BIND_EXTENSIONS),
    delete(8, "/ccapi/v2/agents/extensions", extensions::unbind)
        .body(&[texts("Extensions").required(), text("AgentId").required()]),
    delete(9, "/ccapi/v2/extensions", extensions::delete)
        .body(&[text("Extension").required(), text("Password"), text("Number"), integer("SignalType")]),
    post(10, "/ccapi/v2/extensions", extensions::create)
        .body(&[text("Extension").required(), text("Password"), integer("SignalType")]),
    get(11, "/ccapi/v2/queues", queues::list),
    post(12, "/ccapi/v2/queues", queues::create).result(ResultType::TextInTable)
        .body(&[text("QueueId"), text("QueueName"), text("WaitMusic")]),
    put(13, "/ccapi/v2/queues", queues::modify).body(&[
        text("QueueId").required(), text("QueueName"), integer("Strategy"), integer("Timeout"), text("WaitMusic"),
    ]),
    delete(14, "/ccapi/v2/queues", queues::delete).body(&[text("QueueId").required()]),
    post(15, "/ccapi/v2/queues/agents", queues::add_agents)
        .body(&[text("QueueId").required(), texts("AgentIds").required()]),
    post(16, "/ccapi/v2/agents/queues", queues::enroll)
        .body(&[text("AgentId").required(), texts("Queues").required(), integer("IsFull")]),
    delete(17, "/ccapi/v2/agents/queues", queues::leave)
        .body(&[text("AgentId").required(), texts("Queues").required()]),
    post(18, "/ccapi/v2/subscriptions", subscriptions::create)
        .body(&[field("subscriptions", Kind::Objects(&SUBSCRIPTION)).required()]),
    put(19, "/ccapi/v2/subscriptions/{id}", subscriptions::update).result(ResultType::ByName).body(&[
        text("callback").required(), text("name").required(), texts("events").required(), boolean("enable").required(),
    ]),
    delete(20, "/ccapi/v2/subscriptions/{id}", subscriptions::delete),
    get(21, "/ccapi/v2/subscriptions", subscriptions::list),
    post(22, "/ccapi/v2/agent/login", sessions::login).envelope(Envelope::B)
        .parameters(&[Parameter { name: "MsgId", required: true }])
        .body(&[text("agent_id").required(), text("work_id"), texts("queue_ids"), integer("state")]),
    post(23, "/ccapi/v2/agent/logout", sessions::logout).envelope(Envelope::B).app_id("app_id")
        .parameters(&[Parameter { name: "MsgId", required: false }])
        .body(&[text("agent_id").required()]),
    post(24, "/ccapi/v2/callback2ivr", callback::start).envelope(Envelope::C).app_id("app_id").body(&[
        text("caller").required(), text("called").required(), text("called_display").required(),
        field("variables", Kind::TextOrArray),
    ]),
    get(25, "/ccapi/v2/agents/{id}", roster::get).result(ResultType::TextInTable),
    get(26, "/ccapi/v2/queues/agents_list/{id}", roster::of_queue).result(ResultType::TextInTable),
];

static AGENT_FILTERS: [Parameter; 4] = [
    Parameter { name: "Role", required: false },
    Parameter { name: "Enable", required: false },
    Parameter { name: "State", required: false },
    Parameter { name: "FuzzyQuery", required: false },
];

static CREATE_AGENT: [Field; 11] = [
    text("AgentId").required(),
    text("WorkId").required(),
    text("Name"),
    text("Mobile"),
    text("Email"),
    text("Role"),
    boolean("Enable"),
    field("IsCreateExtension", Kind::Switch),
    integer("WrapUpTime"),
    integer("OutWrapUpTime"),
    integer("AssistantAccessRight"),
];

static MODIFY_AGENT: [Field; 10] = [
    text("AgentId"),
    text("WorkId"),
    text("Name"),
    text("Mobile"),
    text("Email"),
    text("Role"),
    boolean("Enable"),
    integer("WrapUpTime"),
    integer("OutWrapUpTime"),
    integer("AssistantAccessRight"),
];

/// A whole agent, of which 07 uses only `AgentId` and `Extensions` (C36).
static BIND_EXTENSIONS: [Field; 15] = [
    text("AgentId").required(),
    text("WorkId"),
    text("Name"),
    text("Mobile"),
    text("Email"),
    text("Role"),
    texts("Queues"),
    texts("QueuesNames"),
    texts("Extensions").required(),
    integer("State"),
    integer("ExtState"),
    integer("WrapUpTime"),
    integer("OutWrapUpTime"),
    boolean("Enable"),
    integer("AssistantAccessRight"),
];

static SUBSCRIPTION: [Field; 3] = [text("callback").required(), texts("events").required(), text("name").required()];

// === impl Route ===

impl Route {
    pub(super) fn find(method: &str, path: &str) -> Self {
        let mut allowed = Vec::new();
        for operation in OPERATIONS {
            if let Some(id) = operation.id_in(path) {
                if operation.method == method {
                    return Self::Operation(operation, id.to_owned());
                }
                allowed.push(operation.method);
            }
        }
        if allowed.is_empty() { Self::Unknown } else { Self::WrongMethod(allowed.join(", ")) }
    }
}

const fn operation(number: u8, method: &'static str, path: &'static str, run: Handler) -> Operation {
    Operation {
        number,
        method,
        path,
        app_id: "AppId",
        parameters: &[],
        content_type: ContentType::Any,
        fields: &[],
        envelope: Envelope::A,
        success: "OK",
        result: ResultType::Agreed,
        run,
    }
}

const fn get(number: u8, path: &'static str, run: Handler) -> Operation {
    let mut operation = operation(number, "GET", path, run);
    operation.content_type = ContentType::Unchecked;
    operation
}

const fn post(number: u8, path: &'static str, run: Handler) -> Operation {
    operation(number, "POST", path, run)
}

const fn put(number: u8, path: &'static str, run: Handler) -> Operation {
    operation(number, "PUT", path, run)
}

const fn delete(number: u8, path: &'static str, run: Handler) -> Operation {
    operation(number, "DELETE", path, run)
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}

const fn texts(name: &'static str) -> Field {
    field(name, Kind::Texts)
}

const fn integer(name: &'static str) -> Field {
    field(name, Kind::Integer)
}

const fn boolean(name: &'static str) -> Field {
    field(name, Kind::Boolean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_stand_in_the_documents_order() {
        for (row, operation) in (1..).zip(OPERATIONS) {
            assert_eq!(operation.number, row);
        }
    }

    #[test]
    fn every_row_is_found_by_its_own_method_and_path() {
        for operation in OPERATIONS {
            let path = operation.path.replace("{id}", "355");
            let Route::Operation(found, id) = Route::find(operation.method, &path) else {
                panic!("{path} leads nowhere");
            };
            assert_eq!(found.number, operation.number);
            assert_eq!(id, if operation.path.ends_with("{id}") { "355" } else { "" });
        }
    }

    #[test]
    fn a_path_id_is_digits_alone() {
        for path in ["/ccapi/v2/agents/", "/ccapi/v2/agents/a1", "/ccapi/v2/agents/1@2", "/ccapi/v2/agents/1/2"] {
            assert!(matches!(Route::find("GET", path), Route::Unknown), "{path}");
        }
    }

    #[test]
    fn a_known_path_names_the_methods_it_has() {
        let Route::WrongMethod(allowed) = Route::find("PATCH", "/ccapi/v2/queues") else {
            panic!("PATCH belongs to no operation");
        };
        assert_eq!(allowed, "GET, POST, PUT, DELETE");
    }
}
