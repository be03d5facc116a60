"""Certificates for the names of a scene, from two small authorities: the one that clients trust and a foreign one.

In: a folder, names, those of them whose keys are to be of one kind (GnuTLS takes the kind of key before the name), a random.Random,
further names for the certificates of some, and whether all are to be short. Out, in that folder: `ca.pem` (to be trusted), for each
name `NAME.pem` (chain) and `NAME.key`, and in `foreign/` the same names certified by the other authority. Chains differ in length and
key, as in the field; short ones have no certificate between, and keys of elliptic curves.
"""
import os
import subprocess

AUTHORITIES = {"": "/O=Lab trust/CN=Lab root", "foreign": "/O=Gateway inspection/CN=Gateway root"}
SHORT_LIVED, LONG_LIVED = "825", "3650"


def openssl(folder, *words, told=None):
    done = subprocess.run(["openssl", *words], cwd=folder, input=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (words[0], done.stderr.strip()[-400:]))


def make_key(folder, name, kind):
    if kind == "rsa":
        openssl(folder, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", name)
    else:
        openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name)


def make_root(folder, subject):
    make_key(folder, "ca.key", "ec")
    openssl(folder, "req", "-x509", "-new", "-key", "ca.key", "-days", LONG_LIVED, "-out", "ca.pem", "-subj", subject)


def sign(folder, name, key, subject, extensions, by):
    """NAME.crt, signed by the authority `by`."""
    with open(os.path.join(folder, name + ".ext"), "w") as target:
        target.write(extensions)
    openssl(folder, "req", "-new", "-key", key, "-subj", subject, "-out", name + ".csr")
    openssl(folder, "x509", "-req", "-in", name + ".csr", "-CA", by + ".pem", "-CAkey", by + ".key", "-CAcreateserial",
            "-days", SHORT_LIVED, "-extfile", name + ".ext", "-out", name + ".crt")
    for rest in (".ext", ".csr"):
        os.remove(os.path.join(folder, name + rest))


def make_middle(folder):
    make_key(folder, "middle.key", "ec")
    sign(folder, "middle", "middle.key", "/O=Lab trust/CN=Lab issuing", "basicConstraints=critical,CA:TRUE,pathlen:0\n", "ca")
    os.rename(os.path.join(folder, "middle.crt"), os.path.join(folder, "middle.pem"))


def make_leaf(folder, name, kind, by, others=()):
    """NAME.pem holds the leaf and what the client needs to reach the root."""
    key = name + ".key"
    with open(os.path.join(folder, "leaf-%s.key" % kind)) as source, open(os.path.join(folder, key), "w") as target:
        target.write(source.read())
    sign(folder, name, key, "/CN=%s" % name[:60], "subjectAltName=DNS:%s\n" % ",DNS:".join([name, *others]), by)
    with open(os.path.join(folder, name + ".pem"), "w") as chain:
        for part in [name + ".crt"] + ([by + ".pem"] if by != "ca" else []):
            with open(os.path.join(folder, part)) as source:
                chain.write(source.read())
    os.remove(os.path.join(folder, name + ".crt"))


def make_certificates(folder, names, alike, random, also=None, short=False):
    kinds, authorities = (["ec"], ["ca"]) if short else (["ec", "ec", "rsa"], ["ca", "middle"])
    common = "ec" if short else random.choice(["ec", "rsa"])
    for where, subject in AUTHORITIES.items():
        place = os.path.join(folder, where)
        os.makedirs(place, exist_ok=True)
        make_root(place, subject)
        make_middle(place)
        for kind in ("ec", "rsa"):
            make_key(place, "leaf-%s.key" % kind, kind)
        for name in sorted(set(names)):
            kind = common if name in alike else random.choice(kinds)
            make_leaf(place, name, kind, random.choice(authorities), (also or {}).get(name, ()))
