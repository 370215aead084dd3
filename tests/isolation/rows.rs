//! One row a method: what a rightful request looks like and what another tenant sees if it sends it.

use crate::fixture::{PlatformSide, Side};
use serde_json::{Value, json};

/// What a request is about, which decides what a stranger must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It names a thing of tenant A: a stranger sees NOT_FOUND.
    Names,
    /// It is about the caller's own tenant: a stranger gets its own data and none of A's.
    Own,
    /// Operators only.
    Operator,
    /// Reached without a credential.
    Public,
    /// Never reachable through the gateway.
    Internal,
}

/// The kind of every method. A method that is missing here fails the build.
pub(crate) fn kind(method: &str) -> Option<Kind> {
    let (service, name) = method.rsplit_once('/')?;
    let service = service.strip_prefix("tenantry.")?;
    Some(match (service, name) {
        ("business.v1.ObjectTypeService", "CreateObjectType" | "ListObjectTypes") => Kind::Own,
        ("business.v1.ObjectTypeService", "GetObjectType" | "UpdateObjectType" | "DeleteObjectType") => Kind::Names,
        ("business.v1.RecordService", "GetRecord" | "UpdateRecord" | "DeleteRecord") => Kind::Names,
        ("business.v1.RecordService", "BatchUpdateRecords" | "BatchDeleteRecords") => Kind::Names,
        ("business.v1.RecordService", "CreateRecord" | "ListRecords" | "BatchCreateRecords") => Kind::Names,
        ("business.v1.RecordService", "WatchRecords") => Kind::Own,
        ("business.v1.ImportService", "UploadImport") => Kind::Own,
        ("business.v1.ImportService", "GetImport" | "StartImport") => Kind::Names,
        ("business.v1.OperationService", "ListOperations") => Kind::Own,
        ("business.v1.OperationService", "GetOperation" | "WaitOperation" | "CancelOperation") => Kind::Names,
        ("auth.v1.LoginService", "SignOut") => Kind::Own,
        ("auth.v1.LoginService", "SignIn" | "RefreshToken" | "AcceptLink" | "GetJwks") => Kind::Public,
        ("auth.v1.SessionService", "RevokeSession") => Kind::Names,
        ("auth.v1.SessionService", "GetCurrentSession" | "ListSessions" | "RevokeOtherSessions") => Kind::Own,
        ("auth.v1.UserService", "CreateUser" | "ListUsers") => Kind::Own,
        (
            "auth.v1.UserService",
            "GetUser" | "UpdateUser" | "DisableUser" | "EnableUser" | "DeleteUser" | "CreateResetLink",
        ) => Kind::Names,
        ("auth.v1.ApiKeyService", "CreateApiKey" | "ListApiKeys") => Kind::Own,
        ("auth.v1.ApiKeyService", "GetApiKey" | "DeleteApiKey") => Kind::Names,
        (service, _) if service.starts_with("backup.v1.") => {
            return crate::rows_backup::kind(service.trim_start_matches("backup.v1."), name);
        }
        ("auth.v1.DirectoryService", _) => Kind::Internal,
        ("auth.v1.TokenService" | "auth.v1.KeyService" | "registry.v1.RouteService", _) => Kind::Internal,
        ("registry.v1.CloneService", _) => Kind::Internal,
        ("business.v1.DataService", _) => Kind::Internal,
        ("registry.v1.TenantService" | "registry.v1.PlanService" | "registry.v1.OperationService", _) => Kind::Operator,
        ("registry.v1.DomainService", "VerifyDomain" | "ListTenantDomains") => Kind::Operator,
        ("registry.v1.DomainService", "CreateDomain" | "ListDomains") => Kind::Own,
        ("registry.v1.DomainService", "DeleteDomain") => Kind::Names,
        ("registry.v1.BrandingService", _) => crate::rows_registry::branding_kind(name)?,
        (service, _) if service.starts_with("monitoring.v1.") => {
            return crate::rows_monitoring::kind(service.trim_start_matches("monitoring.v1."));
        }
        _ => return None,
    })
}

/// A rightful request of side `a`. Things that the call uses up are made afresh.
pub(crate) async fn request(method: &str, a: &Side) -> Value {
    let (service, name) = method
        .strip_prefix("tenantry.")
        .and_then(|m| m.rsplit_once('/'))
        .expect("a full method name");
    match service {
        "business.v1.ObjectTypeService" => object_type(name, a).await,
        "business.v1.RecordService" => record(name, a).await,
        "backup.v1.SnapshotService" | "backup.v1.OperationService" => crate::rows_backup::request(name, a).await,
        "monitoring.v1.UsageService" => crate::rows_monitoring::request(name),
        "business.v1.ImportService" | "business.v1.OperationService" => import(name, a).await,
        "registry.v1.DomainService" | "registry.v1.BrandingService" => registry(name, a).await,
        _ => auth(name, a).await,
    }
}

async fn object_type(name: &str, a: &Side) -> Value {
    match name {
        "CreateObjectType" => {
            json!({"objectType": {"name": format!("objectTypes/{}", a.fresh("t")), "fields": [{"fieldId": "x", "type": "FIELD_TYPE_STRING"}]}})
        }
        "GetObjectType" => json!({"name": "objectTypes/tickets_a"}),
        "ListObjectTypes" => json!({"pageSize": 1}),
        "UpdateObjectType" => {
            json!({"objectType": {"name": "objectTypes/tickets_a", "description": a.fresh("d")}, "updateMask": "description"})
        }
        "DeleteObjectType" => json!({"name": a.object_type().await}),
        other => panic!("no row for {other}"),
    }
}

async fn record(name: &str, a: &Side) -> Value {
    let parent = "objectTypes/tickets_a";
    match name {
        "CreateRecord" => json!({"parent": parent, "record": {"fields": {"title": a.fresh("r")}}}),
        "GetRecord" => json!({"name": a.record}),
        "ListRecords" => json!({"parent": parent, "pageSize": 1}),
        "UpdateRecord" => {
            json!({"record": {"name": a.record, "fields": {"title": a.fresh("r")}}, "updateMask": "fields.title"})
        }
        "DeleteRecord" => json!({"name": a.new_record().await}),
        "BatchCreateRecords" => {
            json!({"parent": parent, "requests": [{"record": {"fields": {"title": a.fresh("r")}}}]})
        }
        "BatchUpdateRecords" => {
            json!({"parent": parent, "requests": [{"record": {"name": a.record, "fields": {"title": a.fresh("r")}}, "updateMask": "fields.title"}]})
        }
        "BatchDeleteRecords" => json!({"parent": parent, "names": [a.new_record().await]}),
        // From the beginning, so that the stream answers at once.
        "WatchRecords" => json!({"resumeToken": a.resume_token}),
        other => panic!("no row for {other}"),
    }
}

async fn import(name: &str, a: &Side) -> Value {
    match name {
        "UploadImport" => json!({"filename": "a.csv", "chunk": "eCx5CjEsMgo="}),
        "GetImport" => json!({"name": a.import}),
        "StartImport" => {
            json!({"name": a.new_import().await, "objectType": format!("objectTypes/{}", a.fresh("i")), "createType": true})
        }
        "GetOperation" => json!({"name": a.operation}),
        "ListOperations" => json!({"pageSize": 1}),
        "WaitOperation" => json!({"name": a.operation, "timeout": "1s"}),
        "CancelOperation" => json!({"name": a.operation}),
        other => panic!("no row for {other}"),
    }
}

async fn registry(name: &str, a: &Side) -> Value {
    match name {
        "CreateDomain" => json!({"domain": {"name": format!("domains/{}.example", a.fresh("d"))}}),
        "ListDomains" => json!({"pageSize": 1}),
        "DeleteDomain" => json!({"name": a.new_domain().await}),
        other => crate::rows_registry::branding(other, a),
    }
}

async fn auth(name: &str, a: &Side) -> Value {
    match name {
        "SignOut" | "GetCurrentSession" | "RevokeOtherSessions" => json!({}),
        "ListSessions" | "ListUsers" | "ListApiKeys" => json!({"pageSize": 1}),
        "RevokeSession" => json!({"name": a.new_session().await}),
        "CreateUser" => json!({"user": {"email": format!("{}@x.example", a.fresh("u")), "role": "ROLE_VIEWER"}}),
        "GetUser" | "CreateResetLink" => json!({"name": a.viewer.name}),
        "UpdateUser" => {
            json!({"user": {"name": a.viewer.name, "displayName": a.fresh("n")}, "updateMask": "displayName"})
        }
        "DisableUser" => json!({"name": a.new_user().await}),
        "EnableUser" => json!({"name": a.new_user().await}),
        "DeleteUser" => json!({"name": a.new_user().await}),
        "CreateApiKey" => json!({"apiKey": {"displayName": a.fresh("k"), "scopes": ["records.read"]}}),
        "GetApiKey" => json!({"name": a.api_key}),
        "DeleteApiKey" => json!({"name": a.new_api_key().await}),
        other => panic!("no row for {other}"),
    }
}

/// A rightful request of the operator.
pub(crate) async fn operator_request(method: &str, p: &PlatformSide) -> Value {
    let name = method.rsplit('/').next().expect("a method name");
    if name == "ListTenantBackups" {
        return json!({"pageSize": 1});
    }
    if let Some(request) = crate::rows_monitoring::operator_request(name) {
        return request;
    }
    match name {
        "CreateTenant" => {
            json!({"tenant": {"slug": p.fresh("c"), "plan": "plans/enterprise"}, "adminEmail": "o@x.example"})
        }
        "GetTenant" => json!({"name": p.tenant}),
        "ListTenants" => json!({"pageSize": 1}),
        "UpdateTenant" => {
            json!({"tenant": {"name": p.tenant, "displayName": p.fresh("n")}, "updateMask": "displayName"})
        }
        "SuspendTenant" | "DeleteTenant" => json!({"name": p.active().await}),
        "ResumeTenant" => json!({"name": p.suspended().await}),
        "UndeleteTenant" => json!({"name": p.deleted().await}),
        "CreatePlan" => {
            json!({"plan": {"name": format!("plans/{}", p.fresh("p")), "displayName": "x", "limits": {"requestsPerSecond": 1000}}})
        }
        "GetPlan" => json!({"name": p.plan}),
        "ListPlans" => json!({"pageSize": 1}),
        "UpdatePlan" => json!({"plan": {"name": p.plan, "displayName": p.fresh("n")}, "updateMask": "displayName"}),
        "GetOperation" => json!({"name": p.operation}),
        "WaitOperation" => json!({"name": p.operation, "timeout": "1s"}),
        "ListOperations" => json!({"pageSize": 1}),
        "VerifyDomain" => json!({"name": p.new_domain().await}),
        "ListTenantDomains" => json!({"parent": p.tenant, "pageSize": 1}),
        other => panic!("no row for {other}"),
    }
}
