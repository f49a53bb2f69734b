//! The limits of a session: the times and the kinds of data that it covers.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The limits of a session: time ranges, and kinds of data. An empty scope limits nothing.
///
/// ```
/// use digime::scope::{Scope, ServiceObjects, TimeRange, Unit};
///
/// let scope = Scope::new()
///     .time_range(TimeRange::last(6, Unit::Months))
///     .service_objects(ServiceObjects {
///         service_group: 1,
///         service_type: 19,
///         object_types: vec![3, 4],
///     });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    time_ranges: Vec<TimeRange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_groups: Vec<ServiceGroup>,
}

/// A range of time, to the second: between two times, or the last few days, months or years.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use digime::scope::{TimeRange, Unit};
///
/// let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
/// let ranges = [TimeRange::since(yesterday), TimeRange::last(2, Unit::Years)];
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<UnixSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<UnixSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

/// Unix seconds, negative before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnixSeconds(i64);

impl From<SystemTime> for UnixSeconds {
    fn from(time: SystemTime) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => seconds(after),
            Err(before) => -seconds(before.duration()),
        })
    }
}

/// A number of days, months or years, written as `6m`.
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

/// Object types of a service, by the ids that digi.me's documentation gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceObjects {
    /// The group that the service belongs to.
    pub service_group: u32,
    /// The type of the service.
    pub service_type: u32,
    /// The types of its objects.
    pub object_types: Vec<u32>,
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
    /// A scope without limits.
    ///
    /// ```
    /// # use digime::scope::Scope;
    /// assert_eq!(Scope::new(), Scope::default());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a time range.
    ///
    /// ```
    /// # use digime::scope::{Scope, TimeRange, Unit};
    /// let scope = Scope::new().time_range(TimeRange::last(6, Unit::Months));
    /// ```
    #[must_use]
    pub fn time_range(mut self, range: TimeRange) -> Self {
        self.time_ranges.push(range);
        self
    }

    /// Adds object types of a service.
    ///
    /// ```
    /// # use digime::scope::{Scope, ServiceObjects};
    /// let scope = Scope::new().service_objects(ServiceObjects {
    ///     service_group: 1,
    ///     service_type: 19,
    ///     object_types: vec![3, 4],
    /// });
    /// ```
    #[must_use]
    pub fn service_objects(mut self, objects: ServiceObjects) -> Self {
        let ServiceObjects {
            service_group,
            service_type,
            object_types,
        } = objects;
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
    /// From a time until now.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use digime::scope::TimeRange;
    /// let range = TimeRange::since(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    /// ```
    #[must_use]
    pub fn since(from: SystemTime) -> Self {
        Self {
            from: Some(from.into()),
            to: None,
            last: None,
        }
    }

    /// Everything up to a time.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// # use digime::scope::TimeRange;
    /// let range = TimeRange::until(SystemTime::now());
    /// ```
    #[must_use]
    pub fn until(to: SystemTime) -> Self {
        Self {
            from: None,
            to: Some(to.into()),
            last: None,
        }
    }

    /// From one time to another.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use digime::scope::TimeRange;
    /// let now = SystemTime::now();
    /// let range = TimeRange::between(now - Duration::from_secs(60 * 60), now);
    /// ```
    #[must_use]
    pub fn between(from: SystemTime, to: SystemTime) -> Self {
        Self {
            from: Some(from.into()),
            to: Some(to.into()),
            last: None,
        }
    }

    /// The last `number` days, months or years.
    ///
    /// ```
    /// # use digime::scope::{TimeRange, Unit};
    /// let range = TimeRange::last(30, Unit::Days);
    /// ```
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

    fn time(seconds: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into())
    }

    fn objects<const N: usize>(group: u32, service: u32, types: [u32; N]) -> ServiceObjects {
        ServiceObjects {
            service_group: group,
            service_type: service,
            object_types: types.into(),
        }
    }

    #[test]
    fn a_time_before_1970_is_negative() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        let written = serde_json::to_value(TimeRange::since(before)).expect("JSON");
        assert_eq!(written, json!({"from": -5}));
    }

    #[test]
    fn a_scope_is_written_as_the_platform_reads_it() {
        let scope = Scope::new()
            .time_range(TimeRange::last(6, Unit::Months))
            .time_range(TimeRange::between(time(1), time(2)))
            .service_objects(objects(1, 19, [3, 4]))
            .service_objects(objects(1, 20, [5]));
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
    fn a_span_that_the_platform_would_not_read_is_refused() {
        for last in ["", "m", "6", "6w", "-6m", "6 m", "4294967296d", "6ü"] {
            let read = serde_json::from_value::<TimeRange>(json!({ "last": last }));
            assert!(read.is_err(), "{last}");
        }
    }

    fn any_time_range() -> impl Strategy<Value = TimeRange> {
        prop_oneof![
            any::<u32>().prop_map(|from| TimeRange::since(time(from))),
            any::<u32>().prop_map(|to| TimeRange::until(time(to))),
            any::<(u32, u32)>().prop_map(|(from, to)| TimeRange::between(time(from), time(to))),
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
                    scope.service_objects(ServiceObjects {
                        service_group: group,
                        service_type: service,
                        object_types: objects,
                    })
                })
        })
    }

    proptest! {
        #[test]
        fn a_written_scope_is_read_back(scope in any_scope()) {
            let written = serde_json::to_string(&scope).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Scope>(&written).expect("a scope"), scope);
        }
    }
}
