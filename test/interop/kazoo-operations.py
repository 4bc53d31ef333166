"""Drives a server with kazoo's own client, and prints what comes of it: one line per step. Usage: kazoo-operations.py HOST:PORT"""

import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NodeExistsError, NoNodeError, NotEmptyError, BadVersionError
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl


def say(*words):
    print(*words, flush=True)


def refused(call, *args, **kwargs):
    """The name of the error that a call ends with."""
    try:
        call(*args, **kwargs)
    except (NoAuthError, NodeExistsError, NoNodeError, NotEmptyError, BadVersionError) as error:
        return type(error).__name__
    return "nothing"


class Seen:
    """A watcher that is waited for."""

    def __init__(self, name):
        self.name = name
        self.fired = threading.Event()

    def __call__(self, event):
        say("event", self.name, event.type, event.path)
        self.fired.set()

    def wait(self):
        if not self.fired.wait(10):
            say("no event", self.name)


def client(hosts, **options):
    zk = KazooClient(hosts=hosts, timeout=5.0, **options)
    zk.start(timeout=10)
    return zk


def basics(zk):
    say("created", zk.create("/k", b"one"), zk.create("/k/s-", b"", sequence=True), zk.create("/k/e", ephemeral=True))
    path, stat = zk.create("/k/made", b"four", include_data=True)
    say("created", path, stat.version, stat.dataLength, stat.czxid == stat.mzxid)
    say("made way", zk.ensure_path("/k/deep/er/still"), zk.exists("/k/deep/er/still") is not None)
    say("got", zk.get("/k")[0], zk.get("/k")[1].version, zk.get("/k")[1].numChildren)
    say("set", zk.set("/k", b"two", version=0).version)
    say("children", sorted(zk.get_children("/k")))
    say("refused", refused(zk.create, "/k"), refused(zk.get, "/none"), refused(zk.delete, "/k"), refused(zk.set, "/k", b"", 7))
    say("synced", zk.sync("/k"))
    zk.delete("/k/deep", recursive=True)
    say("gone", zk.exists("/k/deep"))


def watches(zk):
    data, children, birth = Seen("data"), Seen("children"), Seen("birth")
    zk.get("/k", watch=data)
    zk.get_children("/k", watch=children)
    zk.exists("/k/born", watch=birth)
    zk.set("/k", b"three")
    data.wait()
    zk.create("/k/born")
    birth.wait()
    children.wait()


def transactions(zk):
    transaction = zk.transaction()
    transaction.create("/k/t", b"x")
    transaction.set_data("/k", b"z")
    transaction.check("/k", 3)
    transaction.delete("/k/t")
    path, stat, checked, deleted = transaction.commit()
    say("transaction", path, stat.version, checked, deleted)
    transaction = zk.transaction()
    transaction.create("/k/u")
    transaction.check("/k", 9)
    transaction.delete("/k/made")
    say("rolled back", *[type(result).__name__ for result in transaction.commit()])
    say("left", zk.exists("/k/u"), zk.exists("/k/made") is not None)


def permissions(zk, hosts):
    zk.create("/k/secret", b"hush", acl=[make_digest_acl("bob", "pw", all=True)])
    say("without authentication", refused(zk.get, "/k/secret"), refused(zk.get_acls, "/k/secret"))
    bob = client(hosts, auth_data=[("digest", "bob:pw")])
    say("bob", bob.get("/k/secret")[0], bob.get_acls("/k/secret")[0][0].id.id)
    say("opened", bob.set_acls("/k/secret", OPEN_ACL_UNSAFE).aversion, zk.get("/k/secret")[0])
    bob.stop()


def main(hosts):
    zk = client(hosts)
    basics(zk)
    watches(zk)
    transactions(zk)
    permissions(zk, hosts)
    zk.stop()
    after = client(hosts)
    say("after", sorted(after.get_children("/k")))
    after.stop()


main(sys.argv[1])
