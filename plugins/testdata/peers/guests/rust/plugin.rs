#[macro_use]
mod postern;
use postern::*;
use std::sync::atomic::{AtomicU32, Ordering};

static ASKED: AtomicU32 = AtomicU32::new(0);

fn rule(m: &Message) -> Verdict {
    let asked = ASKED.fetch_add(1, Ordering::Relaxed) + 1;
    let label = format!("n{}", asked);
    if m.header("Subject").to_lowercase().contains("invoice") && !m.header("From").ends_with("@bank.example>") {
        return quarantine("an invoice of a stranger").label(&label);
    }
    if !m.header("List-Unsubscribe").is_empty() {
        return accept().folder("Newsletters").label(&label);
    }
    accept().label(&label)
}

inbound!(rule);
