//! A queue's parameters: what happens to a call if no agent is there, the queue is full, or the wait is too long
//! (B3.13).

use serde::Deserialize;
use serde_json::Value;

use super::{
    envelope::Refusal,
    fields::{self, ensure},
    state::Center,
};

/// The multimedia type, whose calls cannot be transferred to an IVR.
const MULTIMEDIA: u32 = 53;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SkillParam {
    no_agents: Overflow,
    busy: Overflow,
    time_out: Overflow,
    answer_function: Option<String>,
    wait_voice: Option<WaitVoice>,
}

/// What happens to a call that cannot be served. `Release` excludes the other two members, `Transfer` requires them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Overflow {
    transfer_type: String,
    device_type: Option<String>,
    value: Option<u32>,
}

/// What a caller hears. The page names further members without a rule that could be checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WaitVoice {
    parameter_type: String,
}

// === impl Overflow ===

impl Overflow {
    fn check(&self, center: &Center, media_type_id: u32) -> Result<(), Refusal> {
        match (self.transfer_type.as_str(), self.device_type.as_deref(), self.value) {
            ("Release", None, None) => Ok(()),
            ("Transfer", Some("1"), Some(skill_id)) => center.skill(skill_id).map(|_| ()),
            ("Transfer", Some("3"), Some(_)) => {
                ensure(media_type_id != MULTIMEDIA, "A multimedia queue cannot transfer to an IVR")
            }
            _ => Err(Refusal::because("A transfer in skillParam is invalid")),
        }
    }
}

/// Checks a `skillParam` for a queue of this media type.
pub(super) fn check(center: &Center, media_type_id: u32, skill_param: &Value) -> Result<(), Refusal> {
    let param: SkillParam = fields::read(skill_param.clone())?;
    for overflow in [&param.no_agents, &param.busy, &param.time_out] {
        overflow.check(center, media_type_id)?;
    }
    if matches!(media_type_id, 5 | 19) {
        let (Some(answer_function), Some(wait_voice)) = (&param.answer_function, &param.wait_voice) else {
            return Err(Refusal::because("skillParam needs answerFunction and waitVoice for this media type"));
        };
        ensure(matches!(answer_function.as_str(), "0" | "2"), "answerFunction is invalid")?;
        ensure(!wait_voice.parameter_type.is_empty(), "parameterType is empty")
    } else {
        ensure(
            param.answer_function.is_none() && param.wait_voice.is_none(),
            "skillParam has only noAgents, busy and timeOut for this media type",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::seed, *};

    fn release() -> Value {
        json!({ "transferType": "Release" })
    }

    fn voice(busy: &Value) -> Value {
        json!({
            "noAgents": release(), "busy": busy, "timeOut": release(),
            "answerFunction": "0", "waitVoice": { "parameterType": "Voice", "more": 1 },
        })
    }

    fn short(busy: &Value) -> Value {
        json!({ "noAgents": release(), "busy": busy, "timeOut": release() })
    }

    #[test]
    fn voice_and_video_need_all_five_and_the_others_only_three() {
        let center = seed::center();
        for media in [5, 19] {
            assert_eq!(check(&center, media, &voice(&release())), Ok(()));
            assert!(check(&center, media, &short(&release())).is_err());
        }
        for media in [2, 18, 53] {
            assert_eq!(check(&center, media, &short(&release())), Ok(()));
            assert!(check(&center, media, &voice(&release())).is_err());
        }
    }

    #[test]
    fn a_transfer_needs_its_siblings_and_a_release_has_none() {
        let center = seed::center();
        let transfer =
            |device: &str, value: u32| json!({ "transferType": "Transfer", "deviceType": device, "value": value });
        for valid in [transfer("1", 1), transfer("3", 900)] {
            assert_eq!(check(&center, 5, &voice(&valid)), Ok(()), "{valid}");
        }
        let invalid = [
            transfer("1", 999),
            transfer("2", 1),
            json!({ "transferType": "Transfer" }),
            json!({ "transferType": "Transfer", "deviceType": "1" }),
            json!({ "transferType": "Release", "value": 1 }),
            json!({ "transferType": "Hold" }),
        ];
        for invalid in invalid {
            let refused = check(&center, 5, &voice(&invalid));
            assert!(matches!(refused, Err(Refusal::Business { .. })), "{invalid}");
        }
        assert_eq!(check(&center, 53, &short(&transfer("1", 1))), Ok(()));
        assert!(check(&center, 53, &short(&transfer("3", 900))).is_err());
    }

    #[test]
    fn types_and_names_are_strict() {
        let center = seed::center();
        let wrong = [
            json!({ "transferType": "Transfer", "deviceType": 1, "value": 1 }),
            json!({ "transferType": "Transfer", "deviceType": "1", "value": "1" }),
            json!({ "transferType": "Release", "deviceTyp": "1" }),
            json!("Release"),
        ];
        for busy in wrong {
            assert_eq!(check(&center, 5, &voice(&busy)), Err(Refusal::Malformed), "{busy}");
        }
    }
}
