//! What a session may touch.

use serde::Serialize;

/// What a session is limited to: times, and kinds of data. An empty scope limits nothing.
///
/// ```
/// use digime::{Scope, TimeRange, Unit};
///
/// let scope = Scope::new()
///     .time_range(TimeRange::last(6, Unit::Months))
///     .service_objects(1, 19, [3, 4]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    time_ranges: Vec<TimeRange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_groups: Vec<ServiceGroup>,
}

/// A span of time: absolute, in Unix seconds, or the last so many days, months or years.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimeRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceGroup {
    id: u32,
    service_types: Vec<ServiceType>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceType {
    id: u32,
    service_object_types: Vec<ServiceObjectType>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
        let unit = match unit {
            Unit::Days => 'd',
            Unit::Months => 'm',
            Unit::Years => 'y',
        };
        Self {
            from: None,
            to: None,
            last: Some(format!("{number}{unit}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
