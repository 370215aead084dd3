//! The ways to reach another tenant's data, and what must be seen.

use crate::{fixture::Side, rows::Kind};
use tenantry_api::Method;
use tenantry_tests::{Call, Outcome};

/// A caller with a wrong host, token, role or claim.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) call: Call,
    pub(crate) expect: Expect,
}

/// What must be seen.
pub(crate) enum Expect {
    /// One of these verdicts (`NotFound/NOT_FOUND`).
    Denied(&'static [&'static str]),
    /// Success with nothing of tenant A in it.
    NothingOf(String),
}

impl Expect {
    pub(crate) fn holds(&self, outcome: &Outcome) -> bool {
        match self {
            Self::Denied(verdicts) => verdicts.contains(&outcome.verdict().as_str()),
            Self::NothingOf(watermark) => outcome.is_ok() && !outcome.response.to_string().contains(watermark.as_str()),
        }
    }
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Denied(verdicts) => verdicts.join(" or "),
            Self::NothingOf(watermark) => format!("Ok without {watermark}"),
        }
    }
}

const MISSING: Expect = Expect::Denied(&["NotFound/NOT_FOUND"]);
const ANONYMOUS: Expect = Expect::Denied(&["Unauthenticated/CREDENTIALS_MISSING"]);
const ENDED: Expect = Expect::Denied(&["Unauthenticated/CREDENTIALS_INVALID"]);
const NO_RIGHT: Expect = Expect::Denied(&["PermissionDenied/PERMISSION_DENIED"]);

/// Attacks on a method of tenant `a` by its neighbour `b`.
pub(crate) fn on_tenant_method(kind: Kind, method: &Method, a: &Side, b: &Side, tokens: &Tokens) -> Vec<Attack> {
    let stranger = || match (kind, method.descriptor.name()) {
        // Its request carries A's resume token, which is sealed for A.
        (_, "WatchRecords") => Expect::Denied(&["InvalidArgument/INVALID_ARGUMENT"]),
        (Kind::Own, _) => Expect::NothingOf(a.tenant.slug.clone()),
        _ => MISSING,
    };
    let forged = Call {
        headers: vec![
            ("x-tenant", a.tenant.slug.clone()),
            ("x-tenant-id", a.tenant.id.clone()),
            ("x-tenantry-tenant", a.tenant.id.clone()),
            ("x-tenantry-service", "gateway".to_owned()),
            ("x-forwarded-host", a.tenant.host.clone()),
            ("forwarded", format!("host={}", a.tenant.host)),
        ],
        ..b.call(Some(&tokens.b))
    };
    let mut attacks = vec![
        Attack {
            name: "other tenant's token",
            call: b.call(Some(&tokens.b)),
            expect: stranger(),
        },
        Attack {
            name: "forged headers",
            call: forged,
            expect: stranger(),
        },
        Attack {
            name: "own token at another host",
            call: b.call(Some(&tokens.a)),
            expect: MISSING,
        },
        Attack {
            name: "other token at this host",
            call: a.call(Some(&tokens.b)),
            expect: MISSING,
        },
        Attack {
            name: "no token",
            call: a.call(None),
            expect: ANONYMOUS,
        },
        Attack {
            name: "signed-out session",
            call: a.call(Some(&a.signed_out)),
            expect: ENDED,
        },
        Attack {
            name: "expired key",
            call: a.call(Some(&tokens.expired)),
            expect: ENDED,
        },
        Attack {
            name: "key without the scope",
            call: a.call(Some(a.key_without(&method.scope))),
            expect: NO_RIGHT,
        },
        Attack {
            name: "garbage token",
            call: a.call(Some("tak_garbage")),
            expect: ENDED,
        },
        Attack {
            name: "suspended tenant",
            call: Call::new(&tokens.suspended_host, Some(&tokens.suspended)),
            expect: Expect::Denied(&[
                "FailedPrecondition/TENANT_SUSPENDED",
                "Unauthenticated/CREDENTIALS_INVALID",
                "PermissionDenied/TENANT_SUSPENDED",
            ]),
        },
        Attack {
            name: "deleted tenant",
            call: Call::new(&tokens.deleted_host, Some(&tokens.deleted)),
            expect: Expect::Denied(&[
                "NotFound/TENANT_NOT_FOUND",
                "NotFound/NOT_FOUND",
                "Unauthenticated/CREDENTIALS_INVALID",
            ]),
        },
    ];
    if method.least_role > 1 {
        attacks.push(Attack {
            name: "role too small",
            call: a.call(Some(&a.viewer.token)),
            expect: NO_RIGHT,
        });
    }
    attacks
}

/// Attacks on an operator's method by a tenant's owner.
pub(crate) fn on_operator_method(a: &Side, operator_host: &str, tokens: &Tokens) -> Vec<Attack> {
    vec![
        Attack {
            name: "tenant owner at home",
            call: a.call(Some(&tokens.a)),
            expect: NO_RIGHT,
        },
        Attack {
            name: "tenant owner at the operator host",
            call: Call::new(operator_host, Some(&tokens.a)),
            expect: MISSING,
        },
        Attack {
            name: "no token",
            call: Call::new(operator_host, None),
            expect: ANONYMOUS,
        },
        Attack {
            name: "garbage token",
            call: Call::new(operator_host, Some("x.y.z")),
            expect: ENDED,
        },
    ]
}

/// Fresh credentials of this run.
pub(crate) struct Tokens {
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) expired: String,
    pub(crate) suspended: String,
    pub(crate) suspended_host: String,
    pub(crate) deleted: String,
    pub(crate) deleted_host: String,
}
