//! Which row events wait for others of their statement, and when they are decoded: before anything else takes effect.

use std::sync::Arc;

use super::{LogDecoder, Notice, Step, stop};
use crate::{
    decode::binlog::{BinlogPlan, RowsEvent},
    log::{held::Held, rows},
    source::CapturedTable,
};

#[cfg(test)]
mod tests;

impl LogDecoder {
    /// Lets an event wait, or decodes what waits together with it; none when the event has still to be decoded.
    pub(super) fn hold(
        &mut self,
        table: &Arc<CapturedTable>,
        plan: &Arc<BinlogPlan>,
        kind: u8,
        body: &[u8],
    ) -> Option<Step> {
        // What is wrong with it is said as it is decoded.
        let event = RowsEvent::parse(kind, body).ok();
        let event = event.filter(|event| event.ensure_complete(plan).is_ok_and(|whole| whole));
        let goes_on = self
            .held
            .as_ref()
            .is_some_and(|held| event.is_some_and(|event| held.goes_on(plan, event.kind)));
        if !goes_on && let Some(notice) = self.decode_held() {
            if notice.is_about(table) {
                return Some(Step::Notice(notice));
            }
            self.queued.push(notice);
        }
        let event = event.filter(|event| goes_on || Held::may_wait(event))?;
        let place = self.position().clone();
        let held = self.held.get_or_insert_with(|| {
            let room = std::mem::take(&mut self.room);
            Held::new(Arc::clone(table), Arc::clone(plan), event.kind, room)
        });
        held.push(event.rows(), &place);
        let mut is_last = held.is_full() || !Held::may_wait(&event);
        if !is_last && held.has_enough() {
            match rows::append_whole_runs(&mut self.frame, held, self.before) {
                Ok(taken) => held.cut_front(taken),
                // Said as all is decoded.
                Err(_) => is_last = true,
            }
        }
        let notice = if is_last { self.decode_held() } else { None };
        Some(notice.map_or(Step::Go, Step::Notice))
    }

    /// Decodes what is held; a notice when a row of it cannot be.
    pub(super) fn decode_held(&mut self) -> Option<Notice> {
        let held = self.held.take()?;
        let done = rows::append_held(&mut self.frame, &held, self.before);
        let notice = done.err().map(|(place, error)| {
            stop(held.table, place.as_ref().unwrap_or(self.position()), &error)
        });
        self.room = held.images;
        notice
    }
}

impl Notice {
    fn is_about(&self, table: &CapturedTable) -> bool {
        match self {
            Notice::Truncated { tables, .. } | Notice::Stop { tables, .. } => {
                tables.iter().any(|about| about.key == table.key)
            }
            Notice::Contradicted { table: about, .. } => about.key == table.key,
            Notice::Redefined(_) => false,
        }
    }
}
