//! May this caller call this method? Pure: the method's policy against verified claims. Authorization comes before
//! validation (AIP-211), so that a refusal tells nothing about the request's content.

use tenantry_api::{Access, Policy};
use tenantry_kernel::{
    Error, Principal, PrincipalKind, Reason, Role, TenantId, TenantRoute, TenantStatus, TransactionClaims,
};

pub(crate) fn authorize(method: &Policy, claims: &TransactionClaims, principal: &Principal) -> Result<(), Error> {
    match method.access {
        Access::Public => from_gateway(claims, principal),
        Access::Service => from_service(method, principal),
        Access::Operator if claims.tid != Some(TenantId::PLATFORM) => Err(denied(method)),
        Access::Operator | Access::Tenant => from_member(method, principal),
    }
}

/// Public methods are public at the gateway only: it has found the tenant and limited the rate.
fn from_gateway(claims: &TransactionClaims, principal: &Principal) -> Result<(), Error> {
    match &principal.kind {
        PrincipalKind::Service { name } if name == "gateway" && claims.tid.is_some() => Ok(()),
        _ => Err(credentials_invalid()),
    }
}

fn from_service(method: &Policy, principal: &Principal) -> Result<(), Error> {
    match &principal.kind {
        PrincipalKind::Service { name } if method.callers.is_empty() || method.callers.contains(name) => Ok(()),
        PrincipalKind::Service { .. } => Err(denied(method)),
        _ => Err(Error::not_found()),
    }
}

fn from_member(method: &Policy, principal: &Principal) -> Result<(), Error> {
    let narrowed = match principal.kind {
        PrincipalKind::User { .. } => !principal.scopes.is_empty(),
        PrincipalKind::ApiKey { .. } => true,
        PrincipalKind::Service { .. } | PrincipalKind::Anonymous => return Err(credentials_invalid()),
    };
    if principal.role.map_or(0, rank) < method.least_role {
        return Err(denied(method));
    }
    if narrowed && (method.scope.is_empty() || !principal.scopes.contains(&method.scope)) {
        return Err(denied(method));
    }
    Ok(())
}

const fn rank(role: Role) -> i32 {
    match role {
        Role::Viewer => 1,
        Role::Member => 2,
        Role::Admin => 3,
        Role::Owner => 4,
    }
}

fn denied(method: &Policy) -> Error {
    let text = format!(
        "You need the permission {} for this. Ask an admin of your organisation.",
        method.permission
    );
    let error = Error::new(Reason::PermissionDenied, text).meta("permission", &method.permission);
    if method.scope.is_empty() {
        error
    } else {
        error.meta("scope", &method.scope)
    }
}

fn credentials_invalid() -> Error {
    Error::new(
        Reason::CredentialsInvalid,
        "The credentials are not valid. Sign in again.",
    )
}

/// Whether the tenant is served at all.
pub(crate) fn admit(route: &TenantRoute) -> Result<(), Error> {
    match route.status {
        TenantStatus::Active => Ok(()),
        TenantStatus::Suspended => Err(Error::new(
            Reason::TenantSuspended,
            "This organisation is suspended. Its owner can contact the operator.",
        )),
        TenantStatus::Creating => Err(Error::new(
            Reason::TenantNotActive,
            "This organisation is still being set up. Try again in a moment.",
        )),
        TenantStatus::Deleted => Err(Error::new(
            Reason::TenantNotFound,
            Error::not_found().public().to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_api::Methods;

    fn claims(sub: &str, tid: Option<TenantId>, role: Option<Role>, scopes: &[&str]) -> TransactionClaims {
        let user = sub.starts_with("user:");
        TransactionClaims {
            iss: String::new(),
            aud: String::new(),
            sub: sub.to_owned(),
            tid,
            sid: user.then(|| "0192b0a0-0000-7000-8000-000000000001".parse().unwrap()),
            act: sub
                .starts_with("key:")
                .then(|| "0192b0a0-0000-7000-8000-000000000002".parse().unwrap()),
            role,
            scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
            dbc: None,
            iat: 0,
            iat_ms: 0,
            exp: 0,
            jti: String::new(),
        }
    }

    fn check(path: &str, claims: &TransactionClaims) -> Result<(), Reason> {
        let methods = Methods::load();
        let method = methods.get(path).unwrap();
        authorize(method, claims, &claims.principal().unwrap()).map_err(|e| e.reason())
    }

    const ID: &str = "0192b0a0-0000-7000-8000-000000000003";
    const GET: &str = "/tenantry.business.v1.RecordService/GetRecord";
    const CREATE: &str = "/tenantry.business.v1.RecordService/CreateRecord";
    const TENANTS: &str = "/tenantry.registry.v1.TenantService/ListTenants";
    const KEYS: &str = "/tenantry.auth.v1.ApiKeyService/CreateApiKey";
    const SIGN_IN: &str = "/tenantry.auth.v1.LoginService/SignIn";
    const EXCHANGE: &str = "/tenantry.auth.v1.TokenService/ExchangeCredential";

    fn tenant() -> Option<TenantId> {
        Some(ID.parse().unwrap())
    }

    #[test]
    fn a_role_holds_what_smaller_roles_hold_and_nothing_more() {
        let user = format!("user:{ID}");
        assert_eq!(check(GET, &claims(&user, tenant(), Some(Role::Viewer), &[])), Ok(()));
        assert_eq!(
            check(CREATE, &claims(&user, tenant(), Some(Role::Viewer), &[])),
            Err(Reason::PermissionDenied)
        );
        assert_eq!(check(CREATE, &claims(&user, tenant(), Some(Role::Owner), &[])), Ok(()));
    }

    #[test]
    fn an_api_key_needs_the_scope_even_if_its_creator_is_owner() {
        let key = format!("key:{ID}");
        assert_eq!(
            check(GET, &claims(&key, tenant(), Some(Role::Owner), &["records.read"])),
            Ok(())
        );
        assert_eq!(
            check(CREATE, &claims(&key, tenant(), Some(Role::Owner), &["records.read"])),
            Err(Reason::PermissionDenied)
        );
        assert_eq!(
            check(GET, &claims(&key, tenant(), Some(Role::Owner), &[])),
            Err(Reason::PermissionDenied)
        );
        assert_eq!(
            check(KEYS, &claims(&key, tenant(), Some(Role::Owner), &["records.read"])),
            Err(Reason::PermissionDenied)
        );
    }

    #[test]
    fn operators_are_members_of_the_platform_tenant_only() {
        let user = format!("user:{ID}");
        assert_eq!(
            check(TENANTS, &claims(&user, tenant(), Some(Role::Owner), &[])),
            Err(Reason::PermissionDenied)
        );
        assert_eq!(
            check(
                TENANTS,
                &claims(&user, Some(TenantId::PLATFORM), Some(Role::Viewer), &[])
            ),
            Ok(())
        );
    }

    #[test]
    fn public_methods_are_reached_through_the_gateway_only() {
        assert_eq!(check(SIGN_IN, &claims("service:gateway", tenant(), None, &[])), Ok(()));
        assert_eq!(
            check(SIGN_IN, &claims("service:gateway", None, None, &[])),
            Err(Reason::CredentialsInvalid)
        );
        assert_eq!(
            check(SIGN_IN, &claims("service:business", tenant(), None, &[])),
            Err(Reason::CredentialsInvalid)
        );
        assert_eq!(
            check(
                SIGN_IN,
                &claims(&format!("user:{ID}"), tenant(), Some(Role::Owner), &[])
            ),
            Err(Reason::CredentialsInvalid)
        );
    }

    #[test]
    fn internal_methods_do_not_exist_for_members_and_know_their_callers() {
        assert_eq!(
            check(
                EXCHANGE,
                &claims(&format!("user:{ID}"), tenant(), Some(Role::Owner), &[])
            ),
            Err(Reason::NotFound)
        );
        assert_eq!(check(EXCHANGE, &claims("service:gateway", None, None, &[])), Ok(()));
        assert_eq!(
            check(EXCHANGE, &claims("service:business", None, None, &[])),
            Err(Reason::PermissionDenied)
        );
        assert_eq!(
            check(GET, &claims("service:business", tenant(), None, &[])),
            Err(Reason::CredentialsInvalid)
        );
    }
}
