//! The page that an object file is dropped on.

use super::{Part, counted, site, troubles};
use maud::html;

/// The page; its script sends the file and shows the answer.
pub fn check(kernels: usize, said: &[String]) -> String {
    let body = html! {
        (troubles(said))
        p {
            "Is a compiled eBPF object CO-RE compatible with the " (counted(kernels, "kernel"))
            " known here? That says what its relocations and the names that it uses come to; not that a kernel will load it."
        }
        noscript {
            p { "This page needs a script. The same without one:" }
            pre { "curl -fsS --data-binary @probe.bpf.o $BTFLEET/v1/check" }
        }
        form #check .search .drop {
            label for="object" { "An object file (.o), chosen or dropped here" }
            input #object type="file" accept=".o" required;
            button { "Check" }
        }
        div #results aria-live="polite" {}
    };
    site("", Part::Check, "Check", &body)
}
