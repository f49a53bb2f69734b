//! What a session may touch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a session is limited to: times, and kinds of data. An empty scope limits nothing.
///
/// ```
/// use digime::{Scope, TimeRange, Unit};
///
/// let scope = Scope::new()
///     .time_range(TimeRange::last(6, Unit::Months))
///     .service_objects(1, 19, [3, 4]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    time_ranges: Vec<TimeRange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_groups: Vec<ServiceGroup>,
}

/// A span of time: absolute, in Unix seconds, or the last so many days, months or years.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

/// So many days, months or years, written as `6m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Last {
    number: u32,
    unit: Unit,
}

/// The unit of [`TimeRange::last`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `d`
    Days,
    /// `m`
    Months,
    /// `y`
    Years,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceGroup {
    id: u32,
    service_types: Vec<ServiceType>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceType {
    id: u32,
    service_object_types: Vec<ServiceObjectType>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ServiceObjectType {
    id: u32,
}

impl Scope {
    /// A scope that limits nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a span of time.
    #[must_use]
    pub fn time_range(mut self, range: TimeRange) -> Self {
        self.time_ranges.push(range);
        self
    }

    /// Adds object types of a service type of a service group, each by the id that digi.me's documentation gives it.
    #[must_use]
    pub fn service_objects(
        mut self,
        service_group: u32,
        service_type: u32,
        object_types: impl IntoIterator<Item = u32>,
    ) -> Self {
        let service_type = ServiceType {
            id: service_type,
            service_object_types: object_types
                .into_iter()
                .map(|id| ServiceObjectType { id })
                .collect(),
        };
        match self
            .service_groups
            .iter_mut()
            .find(|group| group.id == service_group)
        {
            Some(group) => group.service_types.push(service_type),
            None => self.service_groups.push(ServiceGroup {
                id: service_group,
                service_types: vec![service_type],
            }),
        }
        self
    }
}

impl TimeRange {
    /// From a Unix time in seconds until now.
    #[must_use]
    pub fn from(from: i64) -> Self {
        Self {
            from: Some(from),
            to: None,
            last: None,
        }
    }

    /// Up to a Unix time in seconds.
    #[must_use]
    pub fn to(to: i64) -> Self {
        Self {
            from: None,
            to: Some(to),
            last: None,
        }
    }

    /// From one Unix time to another, in seconds.
    #[must_use]
    pub fn between(from: i64, to: i64) -> Self {
        Self {
            from: Some(from),
            to: Some(to),
            last: None,
        }
    }

    /// The last so many days, months or years.
    #[must_use]
    pub fn last(number: u32, unit: Unit) -> Self {
        Self {
            from: None,
            to: None,
            last: Some(Last { number, unit }),
        }
    }
}

impl Unit {
    const ALL: [Self; 3] = [Self::Days, Self::Months, Self::Years];

    fn letter(self) -> char {
        match self {
            Self::Days => 'd',
            Self::Months => 'm',
            Self::Years => 'y',
        }
    }
}

impl fmt::Display for Last {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.unit.letter())
    }
}

impl From<Last> for String {
    fn from(last: Last) -> Self {
        last.to_string()
    }
}

impl TryFrom<String> for Last {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = || {
            Unit::ALL.into_iter().find_map(|unit| {
                let number = text.strip_suffix(unit.letter())?.parse().ok()?;
                Some(Self { number, unit })
            })
        };
        read().ok_or("`last` is not a number and one of `d`, `m` and `y`: write it as in `6m`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    #[test]
    fn a_scope_is_written_as_the_platform_reads_it() {
        let scope = Scope::new()
            .time_range(TimeRange::last(6, Unit::Months))
            .time_range(TimeRange::between(1, 2))
            .service_objects(1, 19, [3, 4])
            .service_objects(1, 20, [5]);
        let written = serde_json::to_value(&scope).expect("JSON");
        assert_eq!(
            written,
            json!({
                "timeRanges": [{"last": "6m"}, {"from": 1, "to": 2}],
                "serviceGroups": [{"id": 1, "serviceTypes": [
                    {"id": 19, "serviceObjectTypes": [{"id": 3}, {"id": 4}]},
                    {"id": 20, "serviceObjectTypes": [{"id": 5}]},
                ]}],
            })
        );
        assert_eq!(serde_json::to_value(Scope::new()).expect("JSON"), json!({}));
    }

    #[test]
    fn a_span_that_the_platform_does_not_know_is_not_read() {
        for last in ["", "m", "6", "6w", "-6m", "6 m", "4294967296d", "6ü"] {
            let read = serde_json::from_value::<TimeRange>(json!({ "last": last }));
            assert!(read.is_err(), "{last}");
        }
    }

    fn any_time_range() -> impl Strategy<Value = TimeRange> {
        prop_oneof![
            any::<i64>().prop_map(TimeRange::from),
            any::<i64>().prop_map(TimeRange::to),
            any::<(i64, i64)>().prop_map(|(from, to)| TimeRange::between(from, to)),
            (any::<u32>(), select(&Unit::ALL[..]))
                .prop_map(|(number, unit)| TimeRange::last(number, unit)),
        ]
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let objects = (0..3_u32, any::<u32>(), vec(any::<u32>(), 0..4));
        (vec(any_time_range(), 0..4), vec(objects, 0..4)).prop_map(|(ranges, objects)| {
            let scope = ranges.into_iter().fold(Scope::new(), Scope::time_range);
            objects
                .into_iter()
                .fold(scope, |scope, (group, service, objects)| {
                    scope.service_objects(group, service, objects)
                })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_of_a_scope_is_read_back(scope in any_scope()) {
            let written = serde_json::to_string(&scope).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Scope>(&written).expect("a scope"), scope);
        }
    }
}
