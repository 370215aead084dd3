//! AIP-160 filters, the part we offer: comparisons joined by AND. Lexer, parser, and typing against an object type.
//! Nothing of the text reaches SQL: fields become checked columns, literals become bound values.

use super::{Field, FieldType, Kind, ObjectType, Value, value};
use tenantry_kernel::{Error, Reason, Result};

/// Longest filter in bytes.
pub const MAX_LENGTH: usize = 2_000;
/// Most comparisons.
pub const MAX_COMPARISONS: usize = 20;

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    /// As written, in the filter and in SQL alike.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// A column that can be compared and ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Checked identifier.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Whether it can be NULL.
    pub nullable: bool,
}

/// One typed comparison. `Value::Null` (only with `=` and `!=`) asks whether there is a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Left.
    pub column: Column,
    /// Middle.
    pub op: Op,
    /// Right.
    pub value: Value,
}

/// Parses and types a filter; an empty one has no comparisons.
///
/// # Errors
/// `INVALID_FILTER` saying where and what is accepted.
pub fn parse(filter: &str, object_type: &ObjectType) -> Result<Vec<Comparison>> {
    if filter.len() > MAX_LENGTH {
        return Err(invalid(format!("must have at most {MAX_LENGTH} bytes")));
    }
    let tokens = lex(filter)?;
    let mut rest = tokens.as_slice();
    let mut comparisons = Vec::new();
    while !rest.is_empty() {
        if !comparisons.is_empty() {
            rest = join(rest)?;
        }
        let [
            Token::Word(field),
            Token::Op(op),
            literal @ (Token::Word(_) | Token::Text(_)),
            tail @ ..,
        ] = rest
        else {
            return Err(malformed(rest));
        };
        comparisons.push(compare(object_type, field, *op, literal)?);
        if comparisons.len() > MAX_COMPARISONS {
            return Err(invalid(format!("must have at most {MAX_COMPARISONS} comparisons")));
        }
        rest = tail;
    }
    Ok(comparisons)
}

/// The column behind a name in a filter or an order: `status`, `fields.status`, `create_time`, `update_time`, `creator`.
///
/// # Errors
/// A text for people.
pub fn column(object_type: &ObjectType, name: &str) -> std::result::Result<(Column, Option<Field>), String> {
    let system = |kind| {
        Ok((
            Column {
                name: name.to_owned(),
                kind,
                nullable: false,
            },
            None,
        ))
    };
    match name {
        "create_time" | "update_time" => return system(Kind::Time),
        "creator" => return system(Kind::Text),
        _ => {}
    }
    let id = name.strip_prefix("fields.").unwrap_or(name);
    let Some(field) = object_type.field(id) else {
        let known: Vec<_> = object_type.fields().iter().map(|field| field.id.as_str()).collect();
        return Err(format!(
            "{} is not a field of {}; it has {}, create_time, update_time, creator",
            shown(name),
            object_type.name(),
            known.join(", ")
        ));
    };
    if field.kind == FieldType::Json {
        return Err(format!("{id} is JSON and cannot be filtered or ordered by"));
    }
    Ok((
        Column {
            name: field.column(),
            kind: field.column_kind(),
            nullable: !field.required,
        },
        Some(field.clone()),
    ))
}

fn compare(object_type: &ObjectType, name: &str, op: Op, literal: &Token) -> Result<Comparison> {
    let (column, field) = column(object_type, name).map_err(invalid)?;
    let equality = matches!(op, Op::Eq | Op::Ne);
    if matches!(literal, Token::Word(word) if word == "null") {
        if !equality {
            return Err(invalid(format!(
                "{name} {} null: null goes with = and != only",
                op.as_str()
            )));
        }
        return Ok(Comparison {
            column,
            op,
            value: Value::Null,
        });
    }
    let ordered = match &field {
        Some(field) => !matches!(
            field.kind,
            FieldType::Bool | FieldType::Enum | FieldType::Uuid | FieldType::Reference
        ),
        None => column.kind == Kind::Time,
    };
    if !equality && !ordered {
        return Err(invalid(format!(
            "{name} {}: only = and != are accepted for this field",
            op.as_str()
        )));
    }
    let (Token::Word(text) | Token::Text(text)) = literal else {
        return Err(malformed(&[]));
    };
    let value = match &field {
        Some(field) => literal_of(field, literal, text)
            .ok_or_else(|| invalid(format!("{name}: {} {}", shown(text), field.accepts())))?,
        None if column.kind == Kind::Time => value::time_from_text(text).map(Value::Time).ok_or_else(|| {
            invalid(format!(
                "{name}: {} must be an RFC 3339 time such as \"2026-11-23T10:00:00Z\"",
                shown(text)
            ))
        })?,
        None if text.contains('\0') => return Err(invalid(format!("{name}: must not contain a NUL character"))),
        None => Value::Text(text.clone()),
    };
    Ok(Comparison { column, op, value })
}

fn literal_of(field: &Field, literal: &Token, text: &str) -> Option<Value> {
    match field.kind {
        // A text to compare with may be longer than what the field stores; it just matches nothing.
        FieldType::String | FieldType::Text => (!text.contains('\0')).then(|| Value::Text(text.to_owned())),
        FieldType::Bool if matches!(literal, Token::Text(_)) => None,
        _ => field.parse_text(text),
    }
}

fn join(rest: &[Token]) -> Result<&[Token]> {
    match rest {
        [Token::Word(word), tail @ ..] if word == "AND" && !tail.is_empty() => Ok(tail),
        [Token::Word(word), ..] if word == "OR" || word == "NOT" => {
            Err(invalid(format!("{word} is not offered; join comparisons with AND")))
        }
        [Token::Word(word), ..] if word.eq_ignore_ascii_case("and") => {
            Err(invalid("write AND in capitals, between two comparisons".to_owned()))
        }
        _ => Err(malformed(rest)),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Op(Op),
}

fn lex(filter: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = filter.chars().peekable();
    while let Some(&c) = chars.peek() {
        match c {
            _ if c.is_whitespace() => {
                chars.next();
            }
            '"' | '\'' => {
                chars.next();
                tokens.push(Token::Text(quoted(&mut chars, c)?));
            }
            '=' | '!' | '<' | '>' => {
                chars.next();
                let equals = chars.next_if_eq(&'=').is_some();
                tokens.push(Token::Op(operator(c, equals)?));
            }
            _ if is_word(c) => {
                let mut word = String::new();
                while let Some(c) = chars.next_if(|c| is_word(*c)) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            '(' | ')' => {
                return Err(invalid(
                    "parentheses are not offered; join comparisons with AND".to_owned(),
                ));
            }
            _ => {
                return Err(invalid(format!(
                    "{c:?} is not expected here; texts stand in double quotes"
                )));
            }
        }
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_.:+-/".contains(c)
}

fn operator(first: char, equals: bool) -> Result<Op> {
    match (first, equals) {
        ('=', false) => Ok(Op::Eq),
        ('!', true) => Ok(Op::Ne),
        ('<', false) => Ok(Op::Lt),
        ('<', true) => Ok(Op::Le),
        ('>', false) => Ok(Op::Gt),
        ('>', true) => Ok(Op::Ge),
        ('=', true) => Err(invalid("write = instead of ==".to_owned())),
        _ => Err(invalid("operators are = != < <= > >=".to_owned())),
    }
}

fn quoted(chars: &mut impl Iterator<Item = char>, quote: char) -> Result<String> {
    let mut text = String::new();
    loop {
        match chars.next() {
            None => return Err(invalid(format!("a text that begins with {quote} has no end"))),
            Some('\\') => match chars.next() {
                Some(c @ ('\\' | '"' | '\'')) => text.push(c),
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                _ => return Err(invalid("after a backslash only \\ \" ' n t are accepted".to_owned())),
            },
            Some(c) if c == quote => return Ok(text),
            Some(c) => text.push(c),
        }
    }
}

fn malformed(rest: &[Token]) -> Error {
    let at = match rest.first() {
        Some(Token::Word(text)) => format!(" at {}", shown(text)),
        Some(Token::Text(text)) => format!(" at the text {}", shown(text)),
        Some(Token::Op(op)) => format!(" at {}", op.as_str()),
        None => " at the end".to_owned(),
    };
    invalid(format!(
        "expected `field operator value`{at}; for example: status = \"open\" AND priority >= 2"
    ))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn invalid(description: String) -> Error {
    Error::new(Reason::InvalidFilter, format!("filter: {description}")).field("filter", description)
}

#[cfg(test)]
#[path = "filter_test.rs"]
pub(crate) mod tests;
