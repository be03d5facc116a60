//! Progress on standard error: bytes, packets a second, time left. Silent where nobody looks.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::capture::Inventory;

use super::arguments::ShowProgress;

const TEMPLATE: &str = "{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left";
/// Where nobody knows how much there is.
const TEMPLATE_WITHOUT_END: &str = "{spinner} {bytes}  {msg}";

pub struct Progress {
    bar: ProgressBar,
    packets: AtomicU64,
}

impl Progress {
    pub fn new(show: ShowProgress, inventories: &[Inventory]) -> Self {
        let visible = match show {
            ShowProgress::Auto => std::io::stderr().is_terminal(),
            ShowProgress::Always => true,
            ShowProgress::Never => false,
        };
        let bar = if visible { visible_bar(total_bytes(inventories)) } else { ProgressBar::hidden() };
        Self { bar, packets: AtomicU64::new(0) }
    }

    pub fn round(&self, bytes: u64, packets: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let packets = self.packets.fetch_add(packets, Ordering::Relaxed) + packets;
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        self.bar.inc(bytes);
        self.bar.set_message(format!("{packets} packets, {:.2} M/s", packets as f64 / seconds / 1e6));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn visible_bar(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(4));
    if let Ok(style) = ProgressStyle::with_template(if total.is_some() { TEMPLATE } else { TEMPLATE_WITHOUT_END }) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// What the files weigh; what standard input and compressed files hold is not known beforehand.
fn total_bytes(inventories: &[Inventory]) -> Option<u64> {
    let files = inventories.iter().flat_map(|inventory| &inventory.sources).flat_map(|source| &source.files);
    files.map(|file| file.stored_bytes().filter(|_| !file.is_compressed())).sum()
}
