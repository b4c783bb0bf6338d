//! Update masks: which fields an update changes.

use prost_types::FieldMask;

use crate::check::Check;

/// Most paths of a mask; no resource has as many fields.
const MAX_PATHS: usize = 64;

/// One path a method can change.
pub(super) struct Path {
    /// The field's name.
    pub(super) name: &'static str,
    /// Whether the request sets it.
    pub(super) set: bool,
    /// Whether unset has a meaning: an empty text clears, an unset enum or optional says nothing.
    pub(super) clears: bool,
}

impl Path {
    /// A text or a list: empty clears it.
    pub(super) const fn clearing(name: &'static str, set: bool) -> Self {
        Self { name, set, clears: true }
    }

    /// An enum, an optional or a message: unset says nothing.
    pub(super) const fn needed(name: &'static str, set: bool) -> Self {
        Self { name, set, clears: false }
    }
}

/// The paths to change, in the order of `paths`: those of the mask, or every one that is set when there is no mask.
/// `resource` is the field of the request that holds the resource.
pub(super) fn paths(check: &mut Check, resource: &str, mask: Option<&FieldMask>, paths: &[Path]) -> Vec<String> {
    let chosen: Vec<&Path> = match mask {
        None => paths.iter().filter(|path| path.set).collect(),
        Some(mask) => {
            check.count("update_mask.paths", mask.paths.len(), (0, MAX_PATHS));
            for (index, name) in mask.paths.iter().enumerate().take(MAX_PATHS) {
                if !paths.iter().any(|path| path.name == name) {
                    let known: Vec<&str> = paths.iter().map(|path| path.name).collect();
                    check.invalid(format!("update_mask.paths[{index}]"), format!("one of {}", known.join(", ")));
                }
            }
            paths.iter().filter(|path| mask.paths.iter().take(MAX_PATHS).any(|name| name == path.name)).collect()
        }
    };
    for path in &chosen {
        if !path.set && !path.clears {
            check.invalid(format!("{resource}.{}", path.name), "named by update_mask but not set");
        }
    }
    if chosen.is_empty() {
        check.invalid("update_mask", "names no field to change");
    }
    chosen.into_iter().map(|path| path.name.to_owned()).collect()
}
