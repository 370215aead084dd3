//! The SELECT behind ListRecords: text and parameters, without a database. Keyset paging that counts NULLs where
//! PostgreSQL's indexes have them: last ascending, first descending.

use crate::domain::{
    Kind, Value,
    filter::{Comparison, Op},
    order::{Cursor, Key, Order},
};

/// A statement under construction.
#[derive(Debug)]
pub struct Select {
    /// The text; `$1` is the tenant.
    pub sql: String,
    /// Parameters from `$2` on.
    pub binds: Vec<(Value, Kind)>,
}

/// Builds it. The order's columns are selected again behind `columns`, for the next cursor.
#[must_use]
pub fn select(
    relation: &str,
    columns: &str,
    comparisons: &[Comparison],
    order: &Order,
    cursor: Option<&Cursor>,
    limit: i64,
) -> Select {
    let mut select = Select {
        sql: String::new(),
        binds: Vec::new(),
    };
    let mut conditions = vec!["tenant_id = $1".to_owned()];
    for comparison in comparisons {
        conditions.push(select.condition(comparison));
    }
    if let Some(cursor) = cursor {
        select.after(order, cursor, &mut conditions);
    }
    let keys: String = order.keys.iter().map(|key| format!(", {}", key.column.name)).collect();
    let direction = |descending: bool| if descending { " DESC" } else { "" };
    let by: String = order
        .keys
        .iter()
        .map(|key| format!("{}{}, ", key.column.name, direction(key.descending)))
        .collect();
    select.sql = format!(
        "SELECT {columns}{keys} FROM {relation} WHERE {} ORDER BY {by}id{} LIMIT {limit}",
        conditions.join(" AND "),
        direction(order.id_descending)
    );
    select
}

impl Select {
    fn bind(&mut self, value: &Value, kind: Kind) -> String {
        self.binds.push((value.clone(), kind));
        format!("${}", self.binds.len() + 1)
    }

    fn condition(&mut self, comparison: &Comparison) -> String {
        let Comparison { column, op, value } = comparison;
        match (op, value) {
            (Op::Ne, Value::Null) => format!("{} IS NOT NULL", column.name),
            (_, Value::Null) => format!("{} IS NULL", column.name),
            // A record without a value is not equal to any value.
            (Op::Ne, _) => format!("{} IS DISTINCT FROM {}", column.name, self.bind(value, column.kind)),
            _ => format!("{} {} {}", column.name, op.as_str(), self.bind(value, column.kind)),
        }
    }

    /// Rows behind the cursor: equal in the first keys and behind in the next one, or equal in all and behind by id.
    fn after(&mut self, order: &Order, cursor: &Cursor, conditions: &mut Vec<String>) {
        let mut equal: Vec<String> = Vec::new();
        let mut branches = Vec::new();
        for (i, (key, value)) in order.keys.iter().zip(&cursor.values).enumerate() {
            if i == 0
                && let Some(bound) = self.bound(key, value)
            {
                conditions.push(bound);
            }
            if let Some(behind) = self.behind(key, value) {
                branches.push([equal.as_slice(), &[behind]].concat().join(" AND "));
            }
            equal.push(if value.is_null() {
                format!("{} IS NULL", key.column.name)
            } else {
                format!("{} = {}", key.column.name, self.bind(value, key.column.kind))
            });
        }
        let than = if order.id_descending { "<" } else { ">" };
        let id = self.bind(&Value::Uuid(cursor.id), Kind::Uuid);
        equal.push(format!("id {than} {id}"));
        branches.push(equal.join(" AND "));
        conditions.push(format!("(({}))", branches.join(") OR (")));
    }

    /// What an index can start from, where NULLs do not come after the cursor.
    fn bound(&mut self, key: &Key, value: &Value) -> Option<String> {
        let name = &key.column.name;
        match (value.is_null(), key.descending) {
            (true, true) => None,
            (true, false) => Some(format!("{name} IS NULL")),
            (false, true) => Some(format!("{name} <= {}", self.bind(value, key.column.kind))),
            (false, false) if !key.column.nullable => Some(format!("{name} >= {}", self.bind(value, key.column.kind))),
            (false, false) => None,
        }
    }

    fn behind(&mut self, key: &Key, value: &Value) -> Option<String> {
        let name = &key.column.name;
        match (value.is_null(), key.descending) {
            (true, true) => Some(format!("{name} IS NOT NULL")),
            (true, false) => None,
            (false, true) => Some(format!("{name} < {}", self.bind(value, key.column.kind))),
            (false, false) if !key.column.nullable => Some(format!("{name} > {}", self.bind(value, key.column.kind))),
            (false, false) => Some(format!(
                "({name} > {} OR {name} IS NULL)",
                self.bind(value, key.column.kind)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::filter::Column;
    use proptest::prelude::*;
    use std::cmp::Ordering;
    use uuid::Uuid;

    /// Just enough SQL to run what `after` writes on rows in memory.
    fn holds(select: &Select, condition: &str, row: &(Vec<Option<i64>>, u128)) -> bool {
        let inner = condition
            .strip_prefix("((")
            .and_then(|rest| rest.strip_suffix("))"))
            .unwrap_or(condition);
        inner.split(") OR (").any(|branch| {
            // "(f_a > $2 OR f_a IS NULL)" is the only nested form.
            branch.split(" AND ").all(|term| {
                term.trim_matches(['(', ')'])
                    .split(" OR ")
                    .any(|atom| atom_holds(select, atom, row))
            })
        })
    }

    fn atom_holds(select: &Select, atom: &str, row: &(Vec<Option<i64>>, u128)) -> bool {
        let words: Vec<_> = atom.split(' ').collect();
        let left = match words[0] {
            "id" => Some(i128::try_from(row.1).unwrap()),
            name => row.0[usize::from(name.as_bytes()[2] - b'a')].map(i128::from),
        };
        match words[1..] {
            ["IS", "NULL"] => left.is_none(),
            ["IS", "NOT", "NULL"] => left.is_some(),
            [op, parameter] => {
                let right = match &select.binds[parameter[1..].parse::<usize>().unwrap() - 2].0 {
                    Value::Int(int) => i128::from(*int),
                    Value::Uuid(id) => i128::try_from(id.as_u128()).unwrap(),
                    other => panic!("{other:?}"),
                };
                left.is_some_and(|left| match op {
                    "=" => left == right,
                    "<" => left < right,
                    ">" => left > right,
                    "<=" => left <= right,
                    ">=" => left >= right,
                    _ => panic!("{op}"),
                })
            }
            _ => panic!("{atom}"),
        }
    }

    fn compare(order: &Order, a: &(Vec<Option<i64>>, u128), b: &(Vec<Option<i64>>, u128)) -> Ordering {
        for (i, key) in order.keys.iter().enumerate() {
            let rank = |value: Option<i64>| (value.is_none(), value); // NULL is the largest
            let by = rank(a.0[i]).cmp(&rank(b.0[i]));
            let by = if key.descending { by.reverse() } else { by };
            if by != Ordering::Equal {
                return by;
            }
        }
        if order.id_descending {
            b.1.cmp(&a.1)
        } else {
            a.1.cmp(&b.1)
        }
    }

    proptest! {
        #[test]
        fn every_row_is_either_before_or_behind_the_cursor(
            rows in proptest::collection::vec((proptest::collection::vec(proptest::option::of(0_i64..3), 3), 0_u128..20), 1..30),
            descending in proptest::collection::vec(any::<bool>(), 0..=3),
        ) {
            let keys: Vec<Key> = descending.iter().enumerate().map(|(i, descending)| Key {
                column: Column { name: format!("f_{}", char::from(b'a' + u8::try_from(i).unwrap())), kind: Kind::Int, nullable: true },
                descending: *descending,
            }).collect();
            let order = Order { id_descending: keys.last().is_some_and(|key| key.descending), keys };
            let at = &rows[0];
            let values = (0..order.keys.len()).map(|i| at.0[i].map_or(Value::Null, Value::Int)).collect();
            let cursor = Cursor { values, id: Uuid::from_u128(at.1) };
            let mut select = Select { sql: String::new(), binds: Vec::new() };
            let mut conditions = Vec::new();
            select.after(&order, &cursor, &mut conditions);
            for row in &rows {
                let found = conditions.iter().all(|condition| holds(&select, condition, row));
                prop_assert_eq!(found, compare(&order, row, at) == Ordering::Greater, "{:?} after {:?}: {:?}", row, at, conditions);
            }
        }
    }
}
