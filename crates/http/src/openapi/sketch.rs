//! The schema of a body, drawn by the code that reads it.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::schema::{nullable, schema_of};

/// Makes a schema, and names the others that it refers to.
pub(crate) type MakeSchema = Box<dyn Fn(&mut SchemaGenerator) -> Schema>;

/// The fields that a reader asks for, in its order.
#[derive(Default)]
pub(crate) struct Sketch {
    fields: Vec<Field>,
    /// Whether other fields are refused.
    is_closed: bool,
}

struct Field {
    key: String,
    schema: MakeSchema,
    is_nullable: bool,
    is_required: bool,
}

impl Sketch {
    /// Adds a field that may be missing or `null`.
    pub(crate) fn add(&mut self, key: &str, schema: MakeSchema) {
        self.fields.push(Field { key: key.to_owned(), schema, is_nullable: true, is_required: false });
    }

    /// Notes that a field must not be `null`, or not missing either.
    pub(crate) fn restrict(&mut self, key: &str, is_required: bool) {
        let field = self.fields.iter_mut().find(|field| field.key == key).expect("a field that was read before");
        field.is_nullable = false;
        field.is_required |= is_required;
    }

    /// Notes that other fields are refused.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// The schema of the object.
    pub(crate) fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Map::from_iter([("type".to_owned(), json!("object"))]);
        if self.is_closed {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
        let required: Vec<_> = self.fields.iter().filter(|field| field.is_required).map(|field| &field.key).collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        let property = |field: &Field| {
            let schema = (field.schema)(generator);
            (field.key.clone(), if field.is_nullable { nullable(schema) } else { schema }.to_value())
        };
        schema.insert("properties".to_owned(), self.fields.iter().map(property).collect::<Map<_, _>>().into());
        schema_of(Value::Object(schema))
    }
}
