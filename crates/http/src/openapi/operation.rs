//! What a document says of one endpoint.

use actix_web::HttpResponse;
use actix_web::body::MessageBody as _;
use actix_web::http::StatusCode;
use roster_application::{PageSize, Scope};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::headers;
use super::schema::schema_of;
use super::sketch::{MakeSchema, Sketch};
use crate::request::caller::Permission;
use crate::request::fields::Fields;
use crate::request::operator_caller::AdminPermission;

/// The description of one endpoint. What its kind has in common is not said here: its method and path come from the
/// table of routes, and the refusals that every authenticated request and every body can get from the [surface's
/// contract](super::Contract).
pub(crate) struct Operation {
    pub(super) id: &'static str,
    summary: &'static str,
    pub(super) tag: &'static str,
    description: Option<String>,
    /// The scope or the role that its caller needs; `None`: it needs no credential.
    pub(super) needed: Option<&'static str>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) request: Option<Request>,
    /// The media types of a file that it takes instead.
    file: &'static [&'static str],
    answers: Vec<Answer>,
    /// The names of the surface's refusals that only such requests get.
    pub(super) refusals: Vec<&'static str>,
}

impl Operation {
    /// An endpoint that needs no credential.
    pub(crate) fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            tag,
            description: None,
            needed: None,
            parameters: Vec::new(),
            request: None,
            file: &[],
            answers: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// The same for callers with the scope of `P`.
    pub(crate) fn needs<P: Permission>(self) -> Self {
        Self { needed: Some(P::SCOPE.as_str()), ..self }
    }

    /// Whether it reads customers, perhaps from a replica.
    pub(super) fn reads_customers(&self) -> bool {
        self.needed == Some(Scope::ReadCustomers.as_str())
    }

    /// The same for operators with the role of `P`.
    pub(crate) fn needs_role<P: AdminPermission>(self) -> Self {
        Self { needed: Some(P::ROLE.as_str()), ..self }
    }

    /// What a summary is too short for.
    pub(crate) fn about(self, description: impl Into<String>) -> Self {
        Self { description: Some(description.into()), ..self }
    }

    /// A parameter of the path or the query.
    pub(crate) fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// What it reads.
    pub(crate) fn reads(self, request: Request) -> Self {
        Self { request: Some(request), ..self }
    }

    /// A body that is a file, of one of these media types.
    pub(crate) fn takes_file(self, media_types: &'static [&'static str]) -> Self {
        Self { file: media_types, ..self }
    }

    /// A response with a `T` as JSON.
    pub(crate) fn answers<T: JsonSchema + 'static>(self, status: StatusCode, description: &'static str) -> Self {
        self.answers_with(Answer::new(status, description).json::<T>())
    }

    /// A response of another kind.
    pub(crate) fn answers_with(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// A refusal that the surface's contract has under this name. It takes the place of one with its status.
    pub(crate) fn refuses(mut self, name: &'static str) -> Self {
        self.refusals.push(name);
        self
    }

    /// Its successful responses, by status.
    pub(super) fn responses(&self, generator: &mut SchemaGenerator) -> Map<String, Value> {
        self.answers.iter().map(|answer| (answer.status.as_str().to_owned(), answer.to_json(generator))).collect()
    }

    /// All of it but its parameters and responses.
    pub(super) fn head(&self, generator: &mut SchemaGenerator) -> Map<String, Value> {
        let security = self.needed.map_or(json!([]), |needed| json!([{ "bearer": [needed] }]));
        let mut head = Map::from_iter([
            ("operationId".to_owned(), json!(self.id)),
            ("tags".to_owned(), json!([self.tag])),
            ("summary".to_owned(), json!(self.summary)),
        ]);
        head.extend(self.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
        head.insert("security".to_owned(), security);
        // Without a body the file is empty, and its import says so. No schema describes bytes: any are accepted, and rows that cannot
        // be read are errors of the import.
        if !self.file.is_empty() {
            let content = |name: &&str| ((*name).to_owned(), json!({}));
            let content: Map<String, Value> = self.file.iter().map(content).collect();
            head.insert("requestBody".to_owned(), json!({ "required": false, "content": content }));
        }
        head.extend(self.request.as_ref().map(|request| ("requestBody".to_owned(), request.to_json(generator))));
        head
    }
}

/// A parameter of a path, a query or the headers.
pub(crate) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    description: String,
    schema: MakeSchema,
    /// Whether it is an object whose properties are parameters of their own: `name[key]=value`.
    is_deep: bool,
}

impl Parameter {
    /// The segment of the path that its pattern calls `{name}`.
    pub(crate) fn path<T: JsonSchema + 'static>(name: &'static str, description: &str) -> Self {
        Self::new("path", name, description, Box::new(SchemaGenerator::subschema_for::<T>))
    }

    /// A parameter of the query.
    pub(crate) fn query<T: JsonSchema + 'static>(name: &'static str, description: &str) -> Self {
        Self::new("query", name, description, Box::new(T::json_schema))
    }

    /// A parameter of the query with this schema.
    pub(crate) fn query_of(name: &'static str, description: &str, schema: Value) -> Self {
        Self::new("query", name, description, Box::new(move |_| schema_of(schema.clone())))
    }

    /// Parameters of the query called `name[key]`, with the schema of the object that they make up.
    pub(crate) fn query_object(name: &'static str, description: &str, schema: Value) -> Self {
        Self { is_deep: true, ..Self::query_of(name, description, schema) }
    }

    /// A segment of the path with this schema.
    pub(crate) fn path_of(name: &'static str, description: &str, schema: Value) -> Self {
        Self::new("path", name, description, Box::new(move |_| schema_of(schema.clone())))
    }

    /// A header.
    pub(crate) fn header(name: &'static str, description: &str, schema: Value) -> Self {
        Self::new("header", name, description, Box::new(move |_| schema_of(schema.clone())))
    }

    /// The most items of a page.
    pub(crate) fn limit() -> Self {
        let (most, usual) = (PageSize::MAX.get(), PageSize::DEFAULT.get());
        let schema = json!({ "type": "integer", "minimum": 1, "maximum": most, "default": usual });
        Self::query_of("limit", "The most items of the page, in digits alone: `25`, not `25.0`.", schema)
    }

    fn new(place: &'static str, name: &'static str, description: &str, schema: MakeSchema) -> Self {
        Self { name, place, description: description.to_owned(), schema, is_deep: false }
    }

    pub(super) fn to_json(&self, generator: &mut SchemaGenerator) -> Value {
        let mut parameter = json!({ "name": self.name, "in": self.place });
        if self.place == "path" {
            parameter["required"] = json!(true);
        }
        if self.is_deep {
            parameter["style"] = json!("deepObject");
            parameter["explode"] = json!(true);
            // Otherwise the API page makes one up, and sends it.
            parameter["example"] = json!({});
        }
        parameter["description"] = json!(self.description);
        let mut schema = (self.schema)(generator);
        if self.place != "path" {
            // The API page fills examples in: a list would be filtered by all of them, and a condition never met.
            schema.remove("examples");
        }
        parameter["schema"] = schema.to_value();
        parameter
    }
}

/// The body of a request.
pub(crate) struct Request {
    schema_name: &'static str,
    sketch: Sketch,
    /// Merged into the schema: what the reader does not say.
    rest: Value,
    is_required: bool,
    /// The examples of each media type, by their names.
    media_types: Vec<(&'static str, Vec<(&'static str, Value)>)>,
}

impl Request {
    /// A body of JSON, as `reader` reads it; its schema is called `schema_name`.
    pub(crate) fn json<T>(schema_name: &'static str, reader: impl FnOnce(&mut Fields) -> T) -> Self {
        let media_types = vec![("application/json", Vec::new())];
        Self { schema_name, sketch: Fields::sketch(reader), rest: json!({}), is_required: true, media_types }
    }

    /// The same if an empty body is read as an empty object.
    pub(crate) fn optional(self) -> Self {
        Self { is_required: false, ..self }
    }

    /// The same body is also read as this media type, which the examples that follow are for.
    pub(crate) fn or(mut self, media_type: &'static str) -> Self {
        self.media_types.push((media_type, Vec::new()));
        self
    }

    /// An example.
    pub(crate) fn example(mut self, name: &'static str, value: Value) -> Self {
        self.media_types.last_mut().expect("a media type").1.push((name, value));
        self
    }

    /// Adds to what the schema says of a field.
    pub(crate) fn field(mut self, name: &'static str, more: Value) -> Self {
        self.rest["properties"][name] = more;
        self
    }

    /// Adds to the schema, and removes what is `null` here.
    pub(crate) fn schema(mut self, more: &Value) -> Self {
        merge(&mut self.rest, more);
        self
    }

    fn json_schema(&self, generator: &mut SchemaGenerator) -> Value {
        let mut schema = self.sketch.schema(generator).to_value();
        for name in self.rest["properties"].as_object().into_iter().flat_map(Map::keys) {
            assert!(schema["properties"].get(name).is_some(), "{} has no field {name}", self.schema_name);
        }
        merge(&mut schema, &self.rest);
        schema
    }

    fn to_json(&self, generator: &mut SchemaGenerator) -> Value {
        let schema = self.json_schema(generator);
        generator.definitions_mut().insert(self.schema_name.to_owned(), schema);
        let content = |(media_type, examples): &(&str, Vec<(&str, Value)>)| {
            let schema = json!({ "$ref": format!("#/components/schemas/{}", self.schema_name) });
            ((*media_type).to_owned(), content(&schema, examples))
        };
        let content: Map<_, _> = self.media_types.iter().map(content).collect();
        json!({ "required": self.is_required, "content": content })
    }
}

/// A successful response.
pub(crate) struct Answer {
    status: StatusCode,
    description: &'static str,
    headers: Vec<&'static str>,
    content: Vec<(&'static str, MakeSchema)>,
}

impl Answer {
    /// One without a body.
    pub(crate) fn new(status: StatusCode, description: &'static str) -> Self {
        Self { status, description, headers: Vec::new(), content: Vec::new() }
    }

    /// The same with a `T` as JSON.
    pub(crate) fn json<T: JsonSchema + 'static>(self) -> Self {
        Self { content: vec![("application/json", Box::new(SchemaGenerator::subschema_for::<T>))], ..self }
    }

    /// The same with a body of this media type and schema.
    pub(crate) fn body(self, media_type: &'static str, schema: Value) -> Self {
        Self { content: Vec::new(), ..self }.or_body(media_type, schema)
    }

    /// The same, or a body of this media type and schema, as the caller accepts.
    pub(crate) fn or_body(mut self, media_type: &'static str, schema: Value) -> Self {
        self.content.push((media_type, Box::new(move |_| schema_of(schema.clone()))));
        self
    }

    /// The same with a [header](headers).
    pub(crate) fn header(mut self, name: &'static str) -> Self {
        self.headers.push(name);
        self
    }

    fn to_json(&self, generator: &mut SchemaGenerator) -> Value {
        let mut answer = json!({ "description": self.description, "headers": headers::references(&self.headers) });
        for (media_type, schema) in &self.content {
            answer["content"][*media_type] = json!({ "schema": schema(generator) });
        }
        answer
    }
}

/// A response that refuses a request, and that many operations have.
pub(crate) struct Refusal {
    pub(super) name: &'static str,
    description: String,
    schema: MakeSchema,
    headers: Vec<&'static str>,
    /// What the surface's code answers, by the names of the examples.
    examples: Vec<(String, HttpResponse)>,
    is_identified: bool,
}

impl Refusal {
    /// A refusal with a `T` as its body. Its status, its headers and its examples are those of the responses that are added.
    pub(crate) fn new<T: JsonSchema + 'static>(name: &'static str, description: impl Into<String>) -> Self {
        Self::of(name, description, Box::new(SchemaGenerator::subschema_for::<T>))
    }

    /// A refusal with a body of this schema.
    pub(crate) fn of(name: &'static str, description: impl Into<String>, schema: MakeSchema) -> Self {
        let description = description.into();
        Self { name, description, schema, headers: Vec::new(), examples: Vec::new(), is_identified: true }
    }

    /// Adds what the code answers.
    pub(crate) fn example(mut self, name: impl Into<String>, response: HttpResponse) -> Self {
        self.examples.push((name.into(), response));
        self
    }

    /// Adds a header that is not written by the surface, but around it.
    pub(crate) fn header(mut self, name: &'static str) -> Self {
        self.headers.push(name);
        self
    }

    /// The same, answered before the request gets its identifier.
    pub(crate) fn without_id(self) -> Self {
        Self { is_identified: false, ..self }
    }

    /// The status of all its responses.
    pub(super) fn status(&self) -> StatusCode {
        let status = self.examples.first().unwrap_or_else(|| panic!("{} has no example", self.name)).1.status();
        assert!(self.examples.iter().all(|(_, response)| response.status() == status), "{}", self.name);
        status
    }

    /// The headers of its responses that documents describe.
    fn headers(&self) -> Vec<&'static str> {
        let is_written = |name: &&str| self.examples.iter().any(|(_, response)| response.headers().contains_key(*name));
        let written = headers::ALL.iter().map(|header| header.name).filter(is_written);
        written.chain(self.headers.iter().copied()).collect()
    }

    pub(super) fn into_json(self, generator: &mut SchemaGenerator) -> Value {
        let names = self.headers();
        let content_type = self.examples[0].1.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.expect("a content type").to_owned();
        let mut refusal = json!({ "description": self.description });
        if self.is_identified {
            refusal["headers"] = headers::references(&names).into();
        }
        let schema = (self.schema)(generator).to_value();
        let body = |response: HttpResponse| {
            let bytes = response.into_body().try_into_bytes().expect("a body at hand");
            serde_json::from_slice(&bytes).expect("JSON")
        };
        let examples: Vec<_> = self.examples.into_iter().map(|(name, response)| (name, body(response))).collect();
        refusal["content"] = json!({ content_type: content(&schema, &examples) });
        refusal
    }
}

fn content<N: AsRef<str>>(schema: &Value, examples: &[(N, Value)]) -> Value {
    let example = |(name, value): &(N, Value)| (name.as_ref().to_owned(), json!({ "value": value }));
    let examples: Map<_, _> = examples.iter().map(example).collect();
    if examples.is_empty() { json!({ "schema": schema }) } else { json!({ "schema": schema, "examples": examples }) }
}

/// Merges `more` into `value`, key by key; `null` removes (RFC 7396).
pub(super) fn merge(value: &mut Value, more: &Value) {
    let (Value::Object(old), Value::Object(new)) = (&mut *value, more) else {
        *value = more.clone();
        return;
    };
    for (key, new) in new {
        if new.is_null() {
            old.shift_remove(key);
        } else {
            merge(old.entry(key).or_insert(Value::Null), new);
        }
    }
}
