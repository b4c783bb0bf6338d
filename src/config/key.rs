//! What a key is. [`table!`] declares it once; the reader, the example file and the reference come from there.

use toml::{Value, de::DeValue};

use super::table::{Parsed, Recorded, Table};

/// Declares a TOML table, one line per key: its sentence, its name, its type, and what it accepts.
///
/// It makes the struct and its [`Section`]. `check` compares keys: each is a `Result`, whose error is recorded.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        #[derive($($derive:ident),+)]
        pub struct $Table:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $Type:ty = $rule:expr;)+
        }
        $(check |$checked:ident| $check:block)?
    ) => {
        $(#[doc = $about])+
        #[derive($($derive),+)]
        pub struct $Table {
            $($(#[doc = $doc])+ pub $key: $Type,)+
        }

        impl $crate::config::key::Section for $Table {
            const ABOUT: &'static str = concat!($($about, "\n"),+);

            fn keys() -> Vec<$crate::config::key::Key> {
                vec![$({
                    let rule: $crate::config::key::Rule<$Type> = $rule;
                    $crate::config::key::Key {
                        name: stringify!($key),
                        doc: concat!($($doc, "\n"),+),
                        shape: rule.shape,
                    }
                }),+]
            }

            fn read(table: &mut $crate::config::table::Table<'_>) -> Result<Self, $crate::config::table::Recorded> {
                $(let $key: Result<$Type, _> = ($rule.read)(table, stringify!($key));)+
                $({
                    let $checked = &*table;
                    $check
                })?
                Ok(Self { $($key: $key?),+ })
            }
        }
    };
}

pub(super) use table;

/// A key as the documentation shows it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) shape: Shape,
}

/// What stands at a key.
#[derive(Clone)]
pub(super) enum Shape {
    /// One value. `value` is the default, or an example where the key has none.
    Value { expected: String, presence: Presence, value: Value },
    /// A table.
    Table { about: &'static str, keys: Vec<Key>, is_optional: bool },
    /// One of several names, each of which adds keys to the same table.
    Variants(Vec<&'static Variant>),
}

/// What an absent key means.
#[derive(Clone)]
pub(super) enum Presence {
    /// An error.
    Required,
    /// The default.
    Default,
    /// This, for people.
    Optional(&'static str),
}

/// A name, and the keys that it adds.
pub(super) struct Variant {
    pub(super) name: &'static str,
    /// Takes the place of `<id>` in the example file.
    pub(super) example_id: &'static str,
    pub(super) about: &'static str,
    pub(super) keys: fn() -> Vec<Key>,
}

/// What a key accepts.
pub(super) struct Kind<T> {
    /// Completes "expected ...".
    expected: String,
    parse: Box<Parse<T>>,
}

type Parse<T> = dyn Fn(&Table<'_>, &DeValue<'_>) -> Parsed<T>;

/// How a key is read, and its shape.
pub(super) struct Rule<T> {
    pub(super) shape: Shape,
    /// Reads the key of this name.
    pub(super) read: Box<Read<T>>,
}

type Read<T> = dyn Fn(&mut Table<'_>, &'static str) -> Result<T, Recorded>;

/// A struct that [`table!`] declared.
pub(super) trait Section: Sized + 'static {
    /// What the table is for.
    const ABOUT: &'static str;

    fn keys() -> Vec<Key>;

    /// Reads all keys before it returns, so that one run records every error.
    fn read(table: &mut Table<'_>) -> Result<Self, Recorded>;

    /// The table below another one. Absent, it reads as an empty one.
    fn rule() -> Rule<Self> {
        Rule {
            shape: Shape::Table { about: Self::ABOUT, keys: Self::keys(), is_optional: false },
            read: Box::new(|table, name| table.nested(name, Self::read)),
        }
    }

    /// The table below another one, unless it is absent.
    fn optional() -> Rule<Option<Self>> {
        Rule {
            shape: Shape::Table { about: Self::ABOUT, keys: Self::keys(), is_optional: true },
            read: Box::new(|table, name| {
                if table.peek(name).is_some() {
                    return table.nested(name, Self::read).map(Some);
                }
                table.know([name]);
                Ok(None)
            }),
        }
    }
}

// === impl Variant ===

impl Variant {
    pub(super) const fn new<S: Section>(name: &'static str, example_id: &'static str) -> Self {
        Self { name, example_id, about: S::ABOUT, keys: S::keys }
    }
}

// === impl Kind ===

impl<T: 'static> Kind<T> {
    pub(super) fn new(
        expected: impl Into<String>,
        parse: impl Fn(&Table<'_>, &DeValue<'_>) -> Parsed<T> + 'static,
    ) -> Self {
        Self { expected: expected.into(), parse: Box::new(parse) }
    }

    /// The same, of which only some values are valid.
    pub(super) fn filter(self, expected: &'static str, is_valid: fn(&T) -> bool) -> Self {
        Self::new(format!("{}, {expected}", self.expected), move |table, value| {
            let value = self.parse(table, value)?;
            if is_valid(&value) { Ok(value) } else { Err(format!("expected {expected}")) }
        })
    }

    pub(super) fn parse(&self, table: &Table<'_>, value: &DeValue<'_>) -> Parsed<T> {
        (self.parse)(table, value)
    }

    /// A key that must be present.
    pub(super) fn required(self, example: impl Into<Value>) -> Rule<T> {
        self.rule(Presence::Required, example.into(), Self::require)
    }

    /// A key that, when absent, is read as if `default` were written.
    pub(super) fn default(self, default: impl Into<Value>) -> Rule<T> {
        let default = default.into();
        let text = default.to_string();
        self.rule(Presence::Default, default, move |kind, table, name| match kind.get(table, name)? {
            Some(value) => Ok(value),
            None => kind.parse_at(table, name, DeValue::parse(&text).map_err(|_| Recorded)?.get_ref()),
        })
    }

    /// A key that, when absent, has the value of `make`: `absent`, for people. `None`: the source of that value is in
    /// error.
    pub(super) fn or(
        self,
        absent: &'static str,
        make: fn(&Table<'_>) -> Option<T>,
        example: impl Into<Value>,
    ) -> Rule<T> {
        self.rule(Presence::Optional(absent), example.into(), move |kind, table, name| {
            kind.get(table, name)?.or_else(|| make(table)).ok_or(Recorded)
        })
    }

    /// A key that may be absent: that means `absent`, for people.
    pub(super) fn optional(self, absent: &'static str, example: impl Into<Value>) -> Rule<Option<T>> {
        self.rule(Presence::Optional(absent), example.into(), Self::get)
    }

    /// The value at a key, if the key is present.
    pub(super) fn get(&self, table: &mut Table<'_>, name: &'static str) -> Result<Option<T>, Recorded> {
        table.value(name).map(|value| self.parse_at(table, name, value)).transpose()
    }

    /// The value at a key that must be present.
    pub(super) fn require(&self, table: &mut Table<'_>, name: &'static str) -> Result<T, Recorded> {
        self.get(table, name)?.ok_or_else(|| table.refuse(name, format!("missing: expected {}", self.expected)))
    }

    fn parse_at(&self, table: &Table<'_>, name: &str, value: &DeValue<'_>) -> Result<T, Recorded> {
        self.parse(table, value).map_err(|message| table.refuse(name, message))
    }

    fn rule<U>(
        self,
        presence: Presence,
        value: Value,
        read: impl Fn(&Self, &mut Table<'_>, &'static str) -> Result<U, Recorded> + 'static,
    ) -> Rule<U> {
        Rule {
            shape: Shape::Value { expected: self.expected.clone(), presence, value },
            read: Box::new(move |table, name| read(&self, table, name)),
        }
    }
}
