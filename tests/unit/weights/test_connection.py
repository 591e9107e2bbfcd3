"""What headers, certificates and files of authorities mean to the connection."""

import ssl

import pytest
from ansible.module_utils.chatglm.weights import connection
from ansible.module_utils.chatglm.weights.content import TransferError


@pytest.mark.parametrize(
    ("code", "text"), [(10, "outside its dates (expired); this host's clock says"), (20, "is not trusted (unknown)")]
)
def test_tls_errors_name_the_cause(code, text):
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code, error.verify_message = code, "expired" if code == 10 else "unknown"
    reason = connection.cause(error, "https://hub.invalid/f", connection.Options())
    assert text in str(reason)
    assert not reason.again


def test_ca_file_that_is_none(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(TransferError, match=r"the CA file .*ca\.pem cannot be used"):
        connection.tls_context(str(tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("", None), ("30", 30.0), ("soon", None), ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0)],
)
def test_retry_after(value, seconds):
    assert connection.retry_after(value, 10.0) == seconds


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("bytes 5-9/10", (5, 9, 10)),
        ("bytes 5-9/*", (5, 9, None)),
        (None, None),
        ("bytes */10", None),
        ("items 1-2/3", None),
    ],
)
def test_content_range(value, result):
    assert connection.content_range(value) == result
