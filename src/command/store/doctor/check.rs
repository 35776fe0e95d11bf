//! What is looked at, who needs it, what its lack costs and what mends it.

use crate::cli::Role;
use serde::Serialize;

/// One thing that a store can do or that the credentials may do.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
// A folder has neither credentials nor a clock nor TLS.
#[cfg_attr(not(feature = "s3"), expect(dead_code))]
pub enum Check {
    Credentials,
    Clock,
    Tls,
    Room,
    Read,
    Absent,
    List,
    PutIfAbsent,
    Conditions,
    ListAfterWrite,
    Keys,
    Large,
    Put,
    ReadAfterWrite,
    Delete,
}

/// How a check came out.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, at a cost that is said.
    Doubtful,
    /// Does not work.
    Lacking,
    /// Could not be tried, because something else is lacking.
    Untried,
}

/// A check, and how it came out.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub check: Check,
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
}

impl Finding {
    pub fn new(check: Check, outcome: Outcome, detail: impl Into<String>) -> Finding {
        let detail = detail.into();
        Finding {
            check,
            outcome,
            detail,
        }
    }

    pub fn ok(check: Check, detail: impl Into<String>) -> Finding {
        Finding::new(check, Outcome::Ok, detail)
    }

    pub fn lacking(check: Check, detail: impl Into<String>) -> Finding {
        Finding::new(check, Outcome::Lacking, detail)
    }
}

impl Check {
    pub fn name(self) -> &'static str {
        match self {
            Check::Credentials => "credentials",
            Check::Clock => "clock",
            Check::Tls => "TLS",
            Check::Room => "room",
            Check::Read => "read",
            Check::Absent => "tell what is absent",
            Check::List => "list",
            Check::PutIfAbsent => "write if absent",
            Check::Conditions => "conditional writes",
            Check::ListAfterWrite => "list after write",
            Check::Keys => "keys as written",
            Check::Large => "large objects",
            Check::Put => "overwrite",
            Check::ReadAfterWrite => "read after write",
            Check::Delete => "remove",
        }
    }

    /// Who cannot work without it.
    pub fn needed_by(self, role: Role) -> bool {
        use Role::{Controller, Reader};
        match self {
            Check::Credentials | Check::Clock | Check::Tls => false,
            Check::Read | Check::Absent | Check::List | Check::Keys | Check::Large => true,
            Check::Room | Check::PutIfAbsent | Check::ReadAfterWrite => role != Reader,
            Check::ListAfterWrite => role == Controller,
            Check::Put | Check::Delete => role == Controller,
            // Content addressing makes do without.
            Check::Conditions => false,
        }
    }

    /// What its lack costs.
    pub fn costs(self) -> &'static str {
        match self {
            Check::Credentials => "Nothing can be done with the store.",
            Check::Clock => "S3 refuses requests that are 15 minutes off.",
            Check::Tls => {
                "Whoever listens on the way reads what is stored and can keep it from you. Contents cannot be \
                 forged: readers check every digest."
            }
            Check::Room => "New kernels cannot be stored.",
            Check::Read => "Nothing can be fetched, and nobody can tell what is stored already.",
            Check::Absent => {
                "Who finds an object absent is told that it is forbidden: no agent publishes a new kernel, and \
                 readers cannot tell a missing kernel from a wrong permission."
            }
            Check::List => "Kernels cannot be found by name, counted or collected.",
            Check::PutIfAbsent => "Agents and people cannot publish.",
            Check::Conditions => {
                "Publishers look before they write: one more request for each object, and now and then one is \
                 written twice. The result is the same."
            }
            Check::ListAfterWrite => {
                "The controller decides by lists what is in use: with old ones it must not collect."
            }
            Check::Keys => "Kernels with a + or ~ in their release cannot be found by it.",
            Check::Large => "Headers and BTF, of some megabytes, cannot be stored or fetched.",
            Check::Put => "Damaged objects are not repaired, and references do not stay fresh.",
            Check::ReadAfterWrite => {
                "What was published is not found at once; it is published again and again."
            }
            Check::Delete => {
                "What no node uses any more is never collected; `store unpin` and `forget` fail."
            }
        }
    }

    /// The permission or setting that mends it.
    pub fn mend(self, is_s3: bool) -> &'static str {
        if !is_s3 {
            return match self {
                Check::Room => "Free some space, raise the quota, or choose another --store.",
                Check::Read | Check::Absent | Check::List => {
                    "Give this user read and search permission (r-x) on the folder and all below."
                }
                _ => {
                    "Give this user write permission (rwx) on the folder and all below; a read-only mount serves \
                     readers only."
                }
            };
        }
        match self {
            Check::Credentials => "See `--store`'s error: the settings are named there.",
            Check::Clock => "Run NTP (chrony, systemd-timesyncd) on this machine.",
            Check::Tls => {
                "Use an https:// --s3-endpoint; --s3-ca-file for a certificate authority of your own."
            }
            Check::Room => "Raise the bucket's quota.",
            Check::Read => {
                "Allow s3:GetObject on BUCKET/PREFIX/*; kms:Decrypt where the bucket is encrypted with KMS."
            }
            Check::Absent => {
                "Allow s3:ListBucket on BUCKET: without it S3 answers 403 for what is not there."
            }
            Check::List => {
                "Allow s3:ListBucket on BUCKET, for s3:prefix PREFIX/* if it is limited."
            }
            Check::PutIfAbsent => {
                "Allow s3:PutObject on BUCKET/PREFIX/* (an agent's may be limited by s3:if-none-match); \
                 kms:GenerateDataKey where the bucket is encrypted with KMS."
            }
            Check::Conditions => "A newer server: If-None-Match on PutObject is S3's since 2024.",
            Check::ListAfterWrite => {
                "A server or gateway without a cache of listings; S3 itself is consistent."
            }
            Check::Keys => {
                "A proxy on the way that does not rewrite URLs (% in a key must stay as it is)."
            }
            Check::Large => "A proxy's limit on body size or time (client_max_body_size of nginx).",
            Check::Put => {
                "Allow s3:PutObject on BUCKET/PREFIX/* without the condition s3:if-none-match."
            }
            Check::ReadAfterWrite => "A server or proxy that does not cache objects.",
            Check::Delete => "Allow s3:DeleteObject on BUCKET/PREFIX/*.",
        }
    }
}
