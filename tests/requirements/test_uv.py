"""uv installs from where pip would: a pip.conf with a local index, behind a certificate of one's own."""

import datetime
import importlib.util
import os
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "requirements" / "uv.py"
SPEC = importlib.util.spec_from_file_location("requirements_uv", SCRIPT)
assert SPEC
assert SPEC.loader
uv = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(uv)


def test_the_environment_counts_more_than_files_and_several_values_stay_several() -> None:
    listing = """:env:.find-links='/wheels /more'
global.index-url='https://mirror.example/simple'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
install.index-url='https://nearer.example/simple'
global.find-links='/elsewhere'
list.format='json'
global.proxy='http://proxy.example:3128'
"""
    assert uv.uv_environment(uv.pip_settings(listing)) == {
        "UV_DEFAULT_INDEX": "https://nearer.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
    }


def test_without_settings_uv_is_left_alone() -> None:
    assert uv.uv_environment(uv.pip_settings("")) == {}


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An index over HTTPS that has one package, and the certificate nobody else knows."""
    package = tmp_path / "index" / "simple" / "onlyhere"
    package.mkdir(parents=True)
    name = "onlyhere-1.0-py3-none-any.whl"
    with zipfile.ZipFile(package / name, "w") as wheel:
        wheel.writestr("onlyhere.py", "PLACE = 'the mirror'\n")
        wheel.writestr("onlyhere-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: onlyhere\nVersion: 1.0\n")
        wheel.writestr("onlyhere-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("onlyhere-1.0.dist-info/RECORD", "")
    (package / "index.html").write_text(f'<a href="{name}">{name}</a>')
    certificate = make_certificate(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "index")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/simple", certificate
    server.shutdown()
    server.server_close()


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key in `folder`, and the authority that signed it, which is returned."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("our own authority", "127.0.0.1")]
    now = datetime.datetime.now(datetime.UTC)
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    signed = []
    for name, key, is_authority in zip(names, keys, (True, False), strict=True):
        builder = x509.CertificateBuilder(
            names[0], name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1)
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(address, critical=False)
        signed.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(pem))
    (folder / "key.pem").write_bytes(keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password))
    (folder / "server.pem").write_bytes(signed[1])
    (folder / "authority.pem").write_bytes(signed[0])
    return folder / "authority.pem"


def install(tmp_path: Path, pip_conf: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "pip.conf").write_text(pip_conf)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "SSL_")) and "PROXY" not in name.upper()
    }
    environment = {**kept, "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_RETRIES": "0"}
    command = [sys.executable, SCRIPT, "pip", "install", "--target", tmp_path / "installed", "onlyhere"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_package_comes_from_the_mirror_in_pip_conf(mirror: tuple[str, Path], tmp_path: Path) -> None:
    url, certificate = mirror
    done = install(tmp_path, f"[global]\nindex-url = {url}\ncert = {certificate}\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed" / "onlyhere.py").exists()


def test_without_the_certificate_it_does_not(mirror: tuple[str, Path], tmp_path: Path) -> None:
    done = install(tmp_path, f"[global]\nindex-url = {mirror[0]}\n")
    assert done.returncode
    assert not (tmp_path / "installed" / "onlyhere.py").exists()
