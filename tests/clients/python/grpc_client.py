"""grpcio with stubs that grpcio-tools generates from our protos."""

import os
import sys
import traceback

sys.path[:0] = [os.environ["TENANTRY_STUBS"] + "/python", os.path.dirname(os.path.abspath(__file__))]

import grpc
from google.protobuf import field_mask_pb2, struct_pb2
from google.rpc import error_details_pb2, status_pb2
from tenantry.auth.v1 import login_service_pb2, login_service_pb2_grpc, session_service_pb2, session_service_pb2_grpc
from tenantry.business.v1 import (
    import_service_pb2,
    import_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    record_pb2,
    record_service_pb2,
    record_service_pb2_grpc,
)

import helper

PARENT = "objectTypes/tickets"
TENANT = helper.new_tenant("py")
OTHER = helper.new_tenant("pyb")


def channel(tenant=TENANT):
    # The address is dialled, the authority names the tenant.
    return grpc.insecure_channel(f"127.0.0.1:{helper.PORT}", options=[("grpc.default_authority", tenant["host"])])


CHANNEL = channel()
RECORDS = record_service_pb2_grpc.RecordServiceStub(CHANNEL)
AUTH = (("authorization", f"Bearer {TENANT['token']}"),)


def fields(**values):
    struct = struct_pb2.Struct()
    struct.update(values)
    return record_pb2.Record(fields=struct)


def create(**values):
    request = record_service_pb2.CreateRecordRequest(parent=PARENT, record=fields(**values))
    return RECORDS.CreateRecord(request, metadata=AUTH, timeout=15).record


def refused(code, call):
    """The ErrorInfo and BadRequest of a refusal."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        trailing = dict(error.trailing_metadata())
        assert trailing.get("x-request-id"), f"no request id in {list(trailing)}"
        status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        assert status.code == code.value[0] and status.message == error.details()
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        found = [detail.Unpack(info) for detail in status.details]
        assert any(found), "no ErrorInfo"
        for detail in status.details:
            detail.Unpack(bad)
        return info, [violation.field for violation in bad.field_violations]
    raise AssertionError(f"expected {code}, it worked")


def sign_in():
    login = login_service_pb2_grpc.LoginServiceStub(CHANNEL)
    request = login_service_pb2.SignInRequest(email=TENANT["email"], password=TENANT["password"])
    tokens = login.SignIn(request, timeout=15)
    who = session_service_pb2_grpc.SessionServiceStub(CHANNEL).GetCurrentSession(
        session_service_pb2.GetCurrentSessionRequest(),
        metadata=(("authorization", f"Bearer {tokens.access_token}"),),
        timeout=15,
    )
    assert (who.user.email, who.tenant_slug) == (TENANT["email"], TENANT["slug"]), who
    refreshed = login.RefreshToken(login_service_pb2.RefreshTokenRequest(refresh_token=tokens.refresh_token), timeout=15)
    assert refreshed.refresh_token != tokens.refresh_token
    wrong = login_service_pb2.SignInRequest(email=TENANT["email"], password="not the password")
    info, _ = refused(grpc.StatusCode.UNAUTHENTICATED, lambda: login.SignIn(wrong, timeout=15))
    assert info.reason == "SIGN_IN_FAILED", info


def crud():
    made = create(title="from Python", status="open", priority=2)
    read = RECORDS.GetRecord(record_service_pb2.GetRecordRequest(name=made.name), metadata=AUTH, timeout=15).record
    assert read.fields["title"] == "from Python" and read.fields["priority"] == 2, read
    change = fields(title="changed")
    change.name, change.etag = made.name, made.etag
    request = record_service_pb2.UpdateRecordRequest(record=change, update_mask=field_mask_pb2.FieldMask(paths=["fields.title"]))
    changed = RECORDS.UpdateRecord(request, metadata=AUTH, timeout=15).record
    assert changed.fields["title"] == "changed" and changed.fields["status"] == "open", changed
    # The etag is used up.
    info, _ = refused(grpc.StatusCode.ABORTED, lambda: RECORDS.UpdateRecord(request, metadata=AUTH, timeout=15))
    assert info.reason == "ETAG_MISMATCH", info
    RECORDS.DeleteRecord(record_service_pb2.DeleteRecordRequest(name=made.name), metadata=AUTH, timeout=15)
    get = record_service_pb2.GetRecordRequest(name=made.name)
    info, _ = refused(grpc.StatusCode.NOT_FOUND, lambda: RECORDS.GetRecord(get, metadata=AUTH, timeout=15))
    assert info.reason == "NOT_FOUND", info


def pages():
    names = {create(title=f"page {n}", priority=n).name for n in range(7)}
    seen, token = [], ""
    while True:
        request = record_service_pb2.ListRecordsRequest(
            parent=PARENT, page_size=3, page_token=token, filter="priority >= 0", order_by="priority desc"
        )
        page = RECORDS.ListRecords(request, metadata=AUTH, timeout=15)
        assert len(page.records) <= 3
        seen += [(record.fields["priority"], record.name) for record in page.records]
        token = page.next_page_token
        if not token:
            break
    assert {name for _, name in seen} == names and len(seen) == 7
    assert [priority for priority, _ in seen] == sorted((p for p, _ in seen), reverse=True)


def errors():
    create_bad = lambda **values: lambda: create(**values)
    info, violations = refused(grpc.StatusCode.INVALID_ARGUMENT, create_bad(title="x", priority="high"))
    assert info.domain and info.reason, info
    assert any("priority" in field for field in violations), violations
    _, violations = refused(grpc.StatusCode.INVALID_ARGUMENT, create_bad(status="open"))
    assert any("title" in field for field in violations), violations
    request = record_service_pb2.ListRecordsRequest(parent=PARENT)
    info, _ = refused(grpc.StatusCode.UNAUTHENTICATED, lambda: RECORDS.ListRecords(request, timeout=15))
    assert info.reason == "CREDENTIALS_MISSING", info
    stranger = (("authorization", f"Bearer {OTHER['token']}"),)
    refused(grpc.StatusCode.NOT_FOUND, lambda: RECORDS.ListRecords(request, metadata=stranger, timeout=15))


def idempotency():
    request = record_service_pb2.CreateRecordRequest(
        parent=PARENT, record=fields(title="once"), request_id="7f6f1c0e-6a55-4a6e-9b5e-2f1d3c4b5a69"
    )
    first, call = RECORDS.CreateRecord.with_call(request, metadata=AUTH, timeout=15)
    again = RECORDS.CreateRecord(request, metadata=AUTH, timeout=15)
    assert first.record.name == again.record.name
    request.record.fields["title"] = "another"
    info, _ = refused(grpc.StatusCode.FAILED_PRECONDITION, lambda: RECORDS.CreateRecord(request, metadata=AUTH, timeout=15))
    assert info.reason == "IDEMPOTENCY_KEY_REUSED", info


def watch():
    stream = RECORDS.WatchRecords(record_service_pb2.WatchRecordsRequest(), metadata=AUTH, timeout=60)
    written = None
    for message in stream:
        assert message.resume_token
        if written is None:
            written = create(title="watched").name
        elif any(change.record.name == written for change in message.changes):
            break
    stream.cancel()


def upload_and_import():
    imports = import_service_pb2_grpc.ImportServiceStub(CHANNEL)
    rows = "".join(f"n{n},{n},2026-02-{n % 28 + 1:02}\n" for n in range(500))
    text = ("name,size,day\n" + rows).encode()
    chunks = [import_service_pb2.UploadImportRequest(filename="py.csv", chunk=text[:1000])]
    chunks += [import_service_pb2.UploadImportRequest(chunk=text[at : at + 1000]) for at in range(1000, len(text), 1000)]
    imported = imports.UploadImport(iter(chunks), metadata=AUTH, timeout=30)
    # `import` is a word of Python.
    uploaded = getattr(imported, "import")
    assert uploaded.row_count == 500, uploaded
    assert [column.type for column in uploaded.columns][1:] == [record_pb2.FIELD_TYPE_INT64, record_pb2.FIELD_TYPE_DATE]
    start = import_service_pb2.StartImportRequest(name=uploaded.name, object_type="objectTypes/py_rows", create_type=True)
    operation = imports.StartImport(start, metadata=AUTH, timeout=15).operation
    operations = operation_service_pb2_grpc.OperationServiceStub(CHANNEL)
    while not operation.done:
        wait = operation_service_pb2.WaitOperationRequest(name=operation.name)
        operation = operations.WaitOperation(wait, metadata=AUTH, timeout=40).operation
    result = import_service_pb2.ImportResult()
    assert operation.response.Unpack(result) and result.imported_count == 500, operation


CHECKS = [sign_in, crud, pages, errors, idempotency, watch, upload_and_import]


def main():
    failed = 0
    for check in CHECKS:
        try:
            check()
            print(f"ok   {check.__name__}")
        except Exception:
            failed += 1
            print(f"FAIL {check.__name__}\n{traceback.format_exc()}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
