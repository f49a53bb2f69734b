//! The statements of the outbox. Each can be executed again after its answer was lost.
//!
//! An entry is due when `due_at` has come, whatever its state is: it waits, or the lease of the worker that pushed it has ended,
//! or it waits for consent and the outbox looks again. `due_at` is null if the entry is delivered or given up.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::database::Dialect;
use crate::rules::{ALONE_AFTER, MOST_LOSSES};

pub(crate) struct Statements {
    pub(crate) enqueue: SqlStr,
    pub(crate) claim: SqlStr,
    pub(crate) claimed: SqlStr,
    pub(crate) extend: SqlStr,
    pub(crate) delivered: SqlStr,
    pub(crate) try_again: SqlStr,
    pub(crate) await_consent: SqlStr,
    pub(crate) give_up: SqlStr,
    pub(crate) hold_back: SqlStr,
    pub(crate) connected: SqlStr,
    pub(crate) sweep: SqlStr,
    pub(crate) retry: SqlStr,
    pub(crate) discard: SqlStr,
    pub(crate) forget: SqlStr,
    pub(crate) count: SqlStr,
    pub(crate) oldest: SqlStr,
    pub(crate) list: SqlStr,
}

/// How many rows a sweep removes.
pub(crate) const BATCH: usize = 1000;

impl Statements {
    pub(crate) fn of(dialect: &Dialect) -> Self {
        let Dialect {
            now, skip_locked, ..
        } = dialect;
        // They are made of constants.
        let sql = |text: String| AssertSqlSafe(text).into_sql_str();
        // The content may be what ends the process.
        let claimed = format!(
            "id, contract_id, user_key, reference, attempts, lost, {now} - tried_since, {now} - enqueued_at, \
             file_name, labels, CASE WHEN lost < {MOST_LOSSES} THEN content END"
        );
        let is_held_back =
            format!("SELECT contract_id FROM digime_outbox_held_back WHERE until > {now}");
        // One user does not take all places. Of the entries that were lost repeatedly, one is taken at a time.
        let has_place = format!(
            "(contract_id, user_key) NOT IN (SELECT contract_id, user_key FROM digime_outbox \
             WHERE state = 'sending' AND due_at > {now} GROUP BY contract_id, user_key HAVING count(*) >= $3) \
             AND id NOT IN (SELECT id FROM (SELECT id, row_number() OVER (ORDER BY due_at <= {now}, due_at, id) AS place \
             FROM digime_outbox WHERE state = 'sending' AND lost >= {ALONE_AFTER} - 1) AS lost_repeatedly WHERE place > 1)"
        );
        // It counts how often in a row the entry was taken from a worker that recorded nothing.
        let take = format!(
            "UPDATE digime_outbox SET claim = $1, due_at = {now} + $2, changed_at = {now}, connected = 0, \
             attempts = CASE state WHEN 'consent' THEN 1 ELSE attempts + 1 END, \
             lost = CASE state WHEN 'sending' THEN lost + 1 ELSE 0 END, \
             tried_since = CASE WHEN state = 'consent' OR attempts = 0 THEN {now} ELSE tried_since END, state = 'sending' \
             WHERE id IN (SELECT id FROM due) RETURNING {claimed}"
        );
        Self {
            enqueue: sql(format!(
                "INSERT INTO digime_outbox (contract_id, user_key, reference, due_at, enqueued_at, tried_since, changed_at, \
                 file_name, labels, size, content) VALUES ($1, $2, $3, {now}, {now}, {now}, {now}, $4, $5, $6, $7) \
                 ON CONFLICT (contract_id, user_key, reference) DO NOTHING RETURNING id"
            )),
            claim: sql(format!(
                "WITH due AS MATERIALIZED (SELECT id FROM digime_outbox WHERE due_at <= {now} \
                 AND contract_id NOT IN ({is_held_back}) AND {has_place} \
                 ORDER BY due_at, id LIMIT $4 {skip_locked}) {take}"
            )),
            claimed: sql(format!(
                "SELECT {claimed} FROM digime_outbox WHERE claim = $1 AND state = 'sending'"
            )),
            extend: sql(format!(
                "UPDATE digime_outbox SET due_at = {now} + $3 WHERE id = $1 AND claim = $2 RETURNING id"
            )),
            // It is delivered even if another worker has taken the entry meanwhile.
            delivered: sql(format!(
                "UPDATE digime_outbox SET state = 'delivered', content = NULL, due_at = NULL, claim = NULL, \
                 last_error = NULL, changed_at = {now}, remove_at = {now} + $2 \
                 WHERE id = $1 AND state <> 'delivered' RETURNING id"
            )),
            try_again: sql(format!(
                "UPDATE digime_outbox SET state = 'waiting', due_at = {now} + $3, claim = NULL, \
                 last_error = coalesce($4, last_error), changed_at = {now} WHERE id = $1 AND claim = $2 RETURNING id"
            )),
            // The user may have connected after the worker has looked.
            await_consent: sql(format!(
                "UPDATE digime_outbox SET claim = NULL, last_error = $4, changed_at = {now}, \
                 state = CASE connected WHEN 0 THEN 'consent' ELSE 'waiting' END, \
                 due_at = CASE connected WHEN 0 THEN {now} + $3 ELSE {now} END \
                 WHERE id = $1 AND claim = $2 RETURNING id"
            )),
            give_up: sql(format!(
                "UPDATE digime_outbox SET state = 'given_up', due_at = NULL, claim = NULL, last_error = $3, \
                 changed_at = {now} WHERE id = $1 AND claim = $2 RETURNING id"
            )),
            hold_back: sql(format!(
                "INSERT INTO digime_outbox_held_back (contract_id, until) VALUES ($1, {now} + $2) \
                 ON CONFLICT (contract_id) DO UPDATE SET until = excluded.until \
                 WHERE excluded.until > digime_outbox_held_back.until RETURNING until"
            )),
            // An attempt that is in progress counts.
            connected: sql(format!(
                "UPDATE digime_outbox SET connected = 1, tried_since = {now}, lost = 0, \
                 attempts = CASE state WHEN 'sending' THEN 1 ELSE 0 END, \
                 due_at = CASE state WHEN 'consent' THEN {now} ELSE due_at END, \
                 state = CASE state WHEN 'consent' THEN 'waiting' ELSE state END \
                 WHERE contract_id = $1 AND user_key = $2 AND state IN ('consent', 'sending') RETURNING state"
            )),
            sweep: sql(format!(
                "DELETE FROM digime_outbox WHERE id IN (SELECT id FROM digime_outbox WHERE remove_at <= {now} \
                 LIMIT {BATCH} {skip_locked}) RETURNING id"
            )),
            retry: sql(format!(
                "UPDATE digime_outbox SET state = 'waiting', due_at = {now}, attempts = 0, \
                 changed_at = {now} WHERE id = $1 AND state IN ('given_up', 'waiting', 'consent') RETURNING id"
            )),
            discard: sql(
                "DELETE FROM digime_outbox WHERE id = $1 AND state <> 'sending' RETURNING id"
                    .into(),
            ),
            forget: sql(
                "DELETE FROM digime_outbox WHERE contract_id = $1 AND user_key = $2 RETURNING id"
                    .into(),
            ),
            count: sql("SELECT state, count(*) FROM digime_outbox GROUP BY state".into()),
            oldest: sql(format!(
                "SELECT {now} - min(enqueued_at) FROM digime_outbox WHERE state IN ('waiting', 'sending')"
            )),
            list: sql(
                "SELECT id, contract_id, user_key, reference, state, attempts, enqueued_at, changed_at, due_at, last_error, \
                 file_name, labels, size FROM digime_outbox \
                 WHERE (CAST($1 AS TEXT) IS NULL OR state = $1) AND (CAST($2 AS TEXT) IS NULL OR contract_id = $2) \
                 AND (CAST($3 AS TEXT) IS NULL OR user_key = $3) AND id < $4 ORDER BY id DESC LIMIT $5"
                    .into(),
            ),
        }
    }
}
