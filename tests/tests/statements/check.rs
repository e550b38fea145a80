//! Checks that a statement names the tenant of every row that it reads or writes.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AssignmentTarget, ConflictTarget, Expr, FromTable, Ident, Insert, JoinConstraint, JoinOperator, ObjectName,
    OnConflictAction, OnInsert, Query, Select, SelectItem, SetExpr, Statement, TableAlias, TableFactor, TableObject,
    TableWithJoins, UpdateTableFromKind, Value, Values, Visit as _, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

/// The tables in which every row belongs to a tenant.
pub(crate) const OF_TENANTS: [&str; 13] = [
    "api_keys",
    "customers",
    "events",
    "feed_floors",
    "feed_heads",
    "replies",
    "imports",
    "subscriptions",
    "upload_parts",
    "uploads",
    "webhook_attempts",
    "webhook_endpoints",
    "webhook_lanes",
];

/// The tables whose rows belong to no tenant.
const WITHOUT_TENANT: [&str; 6] =
    ["merchants", "operators", "operator_log", "secrets", "__diesel_schema_migrations", "harmless_migrations"];

/// The columns that name the tenant.
const TENANT: [&str; 2] = ["merchant_id", "environment"];

/// A permission to read a table of tenants without naming the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exception {
    /// The table.
    pub(crate) table: &'static str,
    /// The column that must be equal to a given value instead.
    pub(crate) by: &'static str,
    /// The columns that may be read. Empty: all columns.
    pub(crate) columns: &'static [&'static str],
    /// Why it is permitted.
    pub(crate) reason: &'static str,
}

/// The result of a check.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Why the SQL is refused. Empty if it is permitted.
    pub(crate) faults: BTreeSet<String>,
    /// The tables of tenants that it reads or writes.
    pub(crate) touched: BTreeSet<&'static str>,
    /// The exceptions that it needs.
    pub(crate) needed: BTreeSet<Exception>,
}

/// Checks every statement in `sql`.
///
/// A statement may read, change or delete a row only if both columns of the tenant are equal to given values. A value
/// is given if it is a parameter, a column of an array that is a parameter, or the same column of another table if that
/// column is equal to a given value. A statement may insert a row only with given values in both columns. A statement
/// that this check does not understand is refused.
pub(crate) fn check(sql: &str, exceptions: &[Exception]) -> Findings {
    let mut check = Check { exceptions, ..Check::default() };
    match parse(sql) {
        Ok(statements) => {
            let ControlFlow::Continue(()) = statements.visit(&mut check);
        }
        Err(error) => check.refuse(format!("it cannot be parsed: {error}")),
    }
    if check.mentioned != check.examined {
        check.refuse(format!("{} tables of tenants, of which {} were found", check.mentioned, check.examined));
    }
    check.findings
}

fn parse(sql: &str) -> Result<Vec<Statement>, ParserError> {
    let dialect = PostgreSqlDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql).tokenize()?;
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    // The parser does not know FOR NO KEY UPDATE. The kind of lock does not matter here, so it reads FOR UPDATE.
    let weaker = [Keyword::FOR, Keyword::NO, Keyword::KEY, Keyword::UPDATE];
    let keyword = |token: &Token| if let Token::Word(word) = token { word.keyword } else { Keyword::NoKeyword };
    while let Some(place) = tokens.windows(4).position(|four| four.iter().map(keyword).eq(weaker)) {
        tokens.drain(place + 1..place + 3);
    }
    Parser::new(&dialect).with_tokens(tokens).parse_statements()
}

/// A visitor of statements, from the outer to the inner.
#[derive(Default)]
struct Check<'e> {
    exceptions: &'e [Exception],
    /// The scopes of the statements and selects around the current position, the innermost last.
    scopes: Vec<Scope>,
    /// The names that `WITH` defines in the queries around the current position.
    with: Vec<Vec<String>>,
    /// The number of tables of tenants that were found anywhere.
    mentioned: usize,
    /// The number of tables of tenants whose conditions were checked.
    examined: usize,
    findings: Findings,
}

/// The relations of a `SELECT`, `UPDATE` or `DELETE`, and their columns with given values.
#[derive(Default)]
struct Scope {
    relations: Vec<Relation>,
    /// The columns that are equal to given values: the name of the relation and of the column.
    given: BTreeSet<(String, String)>,
}

struct Relation {
    name: String,
    kind: Kind,
}

enum Kind {
    /// A table of this name.
    Table(String),
    /// Rows made of arrays or values: the columns in their order, and whether each contains only parameters.
    Made(Vec<(String, bool)>),
    /// A relation that the check does not understand.
    Other,
}

/// Whether all rows have a parameter at `place`.
fn are_given(values: &Values, place: usize) -> bool {
    values.rows.iter().all(|row| row.content.get(place).is_some_and(is_parameter))
}

/// The columns that `alias` names, each with whether it is given.
fn made(alias: &TableAlias, given: impl Iterator<Item = bool>) -> Kind {
    Kind::Made(alias.columns.iter().map(|column| ident(&column.name)).zip(given).collect())
}

impl Visitor for Check<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Self::Break> {
        let scope = match statement {
            Statement::Query(_)
            | Statement::Set(_)
            | Statement::ShowVariable { .. }
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Savepoint { .. }
            | Statement::ReleaseSavepoint { .. } => Scope::default(),
            Statement::CreateTable(create) if WITHOUT_TENANT.contains(&table(&create.name).as_str()) => {
                Scope::default()
            }
            Statement::Insert(insert) => {
                self.insert(insert);
                Scope::default()
            }
            Statement::Update(update) => {
                self.assign(update.assignments.iter().map(|assignment| &assignment.target));
                let from = match &update.from {
                    None => &[],
                    Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
                };
                self.scope([&update.table].into_iter().chain(from), update.selection.as_ref())
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                self.scope(from.iter().chain(delete.using.iter().flatten()), delete.selection.as_ref())
            }
            _ => {
                self.refuse("an unknown kind of statement".to_owned());
                Scope::default()
            }
        };
        self.enter(scope, None);
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, _: &Statement) -> ControlFlow<Self::Break> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        let scope = self.scope(&select.from, select.selection.as_ref());
        self.enter(scope, Some(&select.projection));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<Self::Break> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        let names: Vec<String> = with.map(|with| ident(&with.alias.name)).collect();
        for name in names.iter().filter(|name| OF_TENANTS.iter().chain(&WITHOUT_TENANT).any(|table| table == name)) {
            self.refuse(format!("WITH uses the name of the table {name}"));
        }
        self.with.push(names);
        self.operand(&query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.with.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Self::Break> {
        self.mentioned += usize::from(OF_TENANTS.contains(&table(relation).as_str()));
        ControlFlow::Continue(())
    }
}

impl Check<'_> {
    fn refuse(&mut self, fault: String) {
        self.findings.faults.insert(fault);
    }

    /// Refuses an operand that is neither a `SELECT` nor a statement, as it would not be checked.
    fn operand(&mut self, body: &SetExpr) {
        match body {
            SetExpr::SetOperation { left, right, .. } => {
                self.operand(left);
                self.operand(right);
            }
            SetExpr::Table(_) | SetExpr::Merge(_) => self.refuse("TABLE or MERGE".to_owned()),
            SetExpr::Select(_)
            | SetExpr::Query(_)
            | SetExpr::Values(_)
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_) => {}
        }
    }

    fn scope<'a>(&mut self, from: impl IntoIterator<Item = &'a TableWithJoins>, selection: Option<&'a Expr>) -> Scope {
        let mut scope = Scope::default();
        let mut conditions: Vec<&Expr> = Vec::new();
        for tables in from {
            self.relations(tables, &mut scope, &mut conditions);
        }
        if let Some(selection) = selection {
            conjuncts(selection, &mut conditions);
        }
        // A column may be given through another column, so this repeats until it finds no new one.
        loop {
            let found: Vec<_> = conditions.iter().filter_map(|condition| self.given_by(condition, &scope)).collect();
            let before = scope.given.len();
            scope.given.extend(found);
            if scope.given.len() == before {
                return scope;
            }
        }
    }

    /// Adds the relations of a `FROM`, and the conditions of its inner joins. An outer join keeps rows that do not meet
    /// its condition.
    fn relations<'a>(&mut self, tables: &'a TableWithJoins, scope: &mut Scope, conditions: &mut Vec<&'a Expr>) {
        self.relation(&tables.relation, scope, conditions);
        for join in &tables.joins {
            self.relation(&join.relation, scope, conditions);
            if let JoinOperator::Join(JoinConstraint::On(on)) | JoinOperator::Inner(JoinConstraint::On(on)) =
                &join.join_operator
            {
                conjuncts(on, conditions);
            }
        }
    }

    fn relation<'a>(&mut self, factor: &'a TableFactor, scope: &mut Scope, conditions: &mut Vec<&'a Expr>) {
        let (alias, kind) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let name = table(name);
                if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
                    self.refuse(format!("{name}: its columns are renamed"));
                }
                let relation = alias.as_ref().map_or_else(|| name.clone(), |alias| ident(&alias.name));
                let kind = self.table(name);
                scope.relations.push(Relation { name: relation, kind });
                return;
            }
            TableFactor::UNNEST { alias: Some(alias), array_exprs, .. } => {
                let arrays = array_exprs.iter().map(is_parameter).chain(std::iter::repeat(false));
                (Some(alias), made(alias, arrays))
            }
            TableFactor::Derived { alias: Some(alias), subquery, .. } if subquery.with.is_none() => {
                let kind = match &*subquery.body {
                    SetExpr::Values(values) => made(alias, (0..).map(|place| are_given(values, place))),
                    _ => Kind::Other,
                };
                (Some(alias), kind)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.relations(table_with_joins, scope, conditions);
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => (alias.as_ref(), Kind::Other),
            _ => return self.refuse("an unknown kind of relation in FROM".to_owned()),
        };
        let name = alias.map(|alias| ident(&alias.name)).unwrap_or_default();
        scope.relations.push(Relation { name, kind });
    }

    fn table(&mut self, name: String) -> Kind {
        if OF_TENANTS.contains(&name.as_str()) {
            return Kind::Table(name);
        }
        let is_with = self.with.iter().flatten().any(|with| *with == name);
        if !is_with && !WITHOUT_TENANT.contains(&name.as_str()) && !name.starts_with("pg_") {
            self.refuse(format!("{name} is not a known table"));
        }
        Kind::Other
    }

    /// The column of `scope` that `condition` makes equal to a given value, if it does.
    fn given_by(&self, condition: &Expr, scope: &Scope) -> Option<(String, String)> {
        let Expr::BinaryOp { left, op: sqlparser::ast::BinaryOperator::Eq, right } = condition else { return None };
        [(left, right), (right, left)].into_iter().find_map(|(one, other)| {
            let (relation, column) = scope.column(one)?;
            matches!(relation.kind, Kind::Table(_)).then_some(())?;
            self.is_given(other, &column, scope).then(|| (relation.name.clone(), column))
        })
    }

    /// Whether an expression is a parameter, or a column of this name that is given in `scope` or in a scope around it.
    fn is_given(&self, expression: &Expr, column: &str, scope: &Scope) -> bool {
        if is_parameter(expression) {
            return true;
        }
        // A column without the name of its relation is searched only in the innermost scope.
        let around = if matches!(expression, Expr::CompoundIdentifier(_)) { self.scopes.as_slice() } else { &[] };
        let found = [scope].into_iter().chain(around.iter().rev()).find_map(|scope| {
            let (relation, name) = scope.column(expression)?;
            Some(name == column && scope.gives(relation, column))
        });
        found == Some(true)
    }

    /// Checks the relations of a scope and makes it the innermost. `projection` is the list of a `SELECT`.
    ///
    /// A row that an exception permits has a tenant, so that rows of other tables with its tenant are permitted with it.
    fn enter(&mut self, mut scope: Scope, projection: Option<&[SelectItem]>) {
        let mut permitted: Vec<(String, String)> = Vec::new();
        for relation in &scope.relations {
            let Kind::Table(table) = &relation.kind else { continue };
            self.touch(table);
            let missing: Vec<_> = TENANT.into_iter().filter(|column| !scope.gives(relation, column)).collect();
            let missing = missing.join(" and ");
            let exception = self.exceptions.iter().copied().find(|exception| {
                exception.table == table
                    && scope.gives(relation, exception.by)
                    && projection
                        .is_some_and(|items| exception.columns.is_empty() || reads_only(items, exception.columns))
            });
            match exception {
                _ if missing.is_empty() => {}
                Some(exception) => {
                    self.findings.needed.insert(exception);
                    permitted.extend(TENANT.map(|column| (relation.name.clone(), column.to_owned())));
                }
                None => self.refuse(format!("{table} AS {}: nothing given is equal to {missing}", relation.name)),
            }
        }
        scope.given.extend(permitted);
        self.scopes.push(scope);
    }

    fn touch(&mut self, table: &str) {
        self.examined += 1;
        self.findings.touched.extend(OF_TENANTS.into_iter().filter(|of_tenants| *of_tenants == table));
    }

    fn insert(&mut self, insert: &Insert) {
        let TableObject::TableName(name) = &insert.table else {
            return self.refuse("an INSERT into something that is no table".to_owned());
        };
        let name = table(name);
        if !matches!(self.table(name.clone()), Kind::Table(_)) {
            return;
        }
        self.touch(&name);
        let columns: Vec<String> = insert.columns.iter().map(table).collect();
        for column in TENANT {
            let place = columns.iter().position(|name| name == column);
            if !place.is_some_and(|place| self.writes_given(insert, place, column)) {
                self.refuse(format!("INSERT INTO {name}: {column} is not among what is given"));
            }
        }
        match &insert.on {
            None => {}
            Some(OnInsert::OnConflict(on)) => {
                let OnConflictAction::DoUpdate(update) = &on.action else { return };
                self.assign(update.assignments.iter().map(|assignment| &assignment.target));
                let Some(ConflictTarget::Columns { columns, .. }) = &on.conflict_target else {
                    return self.refuse("ON CONFLICT DO UPDATE without the columns that are in conflict".to_owned());
                };
                let columns: Vec<String> = columns.iter().map(ident).collect();
                if !TENANT.iter().all(|column| columns.iter().any(|name| name == column)) {
                    self.refuse("ON CONFLICT DO UPDATE of a row that may be another tenant's".to_owned());
                }
            }
            Some(_) => self.refuse("an unknown kind of INSERT".to_owned()),
        }
    }

    /// Whether the values that an `INSERT` writes to the column at `place` are given.
    fn writes_given(&mut self, insert: &Insert, place: usize, column: &str) -> bool {
        let Some(source) = &insert.source else { return false };
        match source.body.as_ref() {
            SetExpr::Values(values) => are_given(values, place),
            SetExpr::Select(select) => {
                let scope = self.scope(&select.from, select.selection.as_ref());
                match select.projection.as_slice() {
                    [SelectItem::Wildcard(_)] => matches!(
                        scope.relations.as_slice(),
                        [Relation { kind: Kind::Made(columns), .. }]
                            if columns.get(place) == Some(&(column.to_owned(), true))
                    ),
                    items => match items.get(place) {
                        Some(SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }) => {
                            !items.iter().any(is_wildcard) && self.is_given(value, column, &scope)
                        }
                        _ => false,
                    },
                }
            }
            _ => false,
        }
    }

    /// Refuses assignments that move rows to another tenant.
    fn assign<'a>(&mut self, targets: impl IntoIterator<Item = &'a AssignmentTarget>) {
        for target in targets {
            let columns = match target {
                AssignmentTarget::ColumnName(column) => std::slice::from_ref(column),
                AssignmentTarget::Tuple(columns) => columns,
            };
            for column in columns.iter().map(table).filter(|column| TENANT.contains(&column.as_str())) {
                self.refuse(format!("{column} is changed"));
            }
        }
    }
}

impl Scope {
    /// The relation and the name of a column, if the expression is a column of this scope.
    fn column(&self, expression: &Expr) -> Option<(&Relation, String)> {
        match expression {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(column) => match self.relations.as_slice() {
                [only] => Some((only, ident(column))),
                _ => None,
            },
            Expr::CompoundIdentifier(parts) => {
                let [relation, column] = parts.as_slice() else { return None };
                let relation = ident(relation);
                Some((self.relations.iter().find(|known| known.name == relation)?, ident(column)))
            }
            _ => None,
        }
    }

    fn gives(&self, relation: &Relation, column: &str) -> bool {
        match &relation.kind {
            Kind::Table(_) => self.given.contains(&(relation.name.clone(), column.to_owned())),
            Kind::Made(columns) => columns.contains(&(column.to_owned(), true)),
            Kind::Other => false,
        }
    }
}

/// Splits a condition into the parts that must all be true.
fn conjuncts<'a>(condition: &'a Expr, all: &mut Vec<&'a Expr>) {
    match condition {
        Expr::Nested(inner) | Expr::IsTrue(inner) => conjuncts(inner, all),
        Expr::BinaryOp { left, op: sqlparser::ast::BinaryOperator::And, right } => {
            conjuncts(left, all);
            conjuncts(right, all);
        }
        other => all.push(other),
    }
}

fn is_parameter(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_parameter(inner),
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        _ => false,
    }
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

fn reads_only(items: &[SelectItem], columns: &[&str]) -> bool {
    items.iter().all(|item| {
        let column = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(column)) => Some(column),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last(),
            _ => None,
        };
        column.is_some_and(|column| columns.contains(&ident(column).as_str()))
    })
}

/// The name of a table or a column, without its qualifiers.
fn table(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(ident).unwrap_or_default()
}

/// A name as PostgreSQL reads it: in lower case, unless it is quoted.
fn ident(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}
