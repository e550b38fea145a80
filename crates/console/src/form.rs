//! Forms and queries: names with values.

/// The fields of a form, or the parameters of a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. Line breaks are `\n` afterwards: browsers send `\r\n`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let line_breaks = |text: &str| text.replace("\r\n", "\n");
        Self(form_urlencoded::parse(bytes).map(|(name, value)| (name.into_owned(), line_breaks(&value))).collect())
    }

    /// The first value of that name, or an empty text.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// All values of that name, in their order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(of, _)| of == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Whether there is a value of that name that is not empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// The same with another value of that name; an empty one is left out.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(of, _)| of != name);
        if !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// As a query, without values that are empty. An empty text if nothing is left.
    pub(crate) fn query(&self) -> String {
        query(self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// A query with `?` in front, without values that are empty. An empty text if nothing is left.
pub(crate) fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(parameters.into_iter().filter(|(_, value)| !value.is_empty()));
    let text = text.finish();
    if text.is_empty() { text } else { format!("?{text}") }
}
