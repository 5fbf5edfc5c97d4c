//! The JSON Schema of a plan, made from its types.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::Plan;

/// The schema's name, which a plan names. Within a version fields are added and none is changed or
/// taken away, so that what a reader does not know it can skip.
pub const SCHEMA: &str = "plan-1.schema.json";

/// The schema of a plan in JSON, as text.
pub fn schema() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<Plan>();
    let text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    format!("{text}\n")
}

/// A call: the component with its version, and every argument.
pub(super) fn component(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "component": { "type": "string", "pattern": "^[a-z][a-z0-9_.]*@[0-9]+$" },
            "args": { "type": "object" }
        },
        "required": ["component", "args"]
    })
}
