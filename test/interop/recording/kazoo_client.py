"""Makes kazoo send every operation that it has. Run with PROXIED DIRECT, as JavaClient.java is."""
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, NodeExistsError, NoAuthError, NoNodeError, NotEmptyError
from kazoo.security import make_digest_acl

proxied = sys.argv[1]


def connect(**options):
    client = KazooClient(hosts=proxied, timeout=4.0, **options)
    client.start(timeout=20)
    return client


def close(client):
    client.stop()
    client.close()


def refused(error, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except error:
        return
    raise AssertionError('expected ' + error.__name__)


def operations():
    client = connect()
    client.create('/kazoo', b'root')
    client.create('/kazoo/ephemeral', b'', ephemeral=True)
    client.create('/kazoo/n-', b'1', sequence=True)
    client.create('/kazoo/n-', b'2', sequence=True, ephemeral=True, include_data=True)
    client.create('/kazoo/gr\u00f6\u00dfe', '\u6f22\u5b57'.encode('utf-8'), include_data=True)
    refused(NodeExistsError, client.create, '/kazoo', b'x')

    client.set('/kazoo', b'changed')
    refused(BadVersionError, client.set, '/kazoo', b'x', version=7)
    client.get('/kazoo')
    refused(NoNodeError, client.get, '/missing')
    client.exists('/kazoo')
    client.exists('/missing')
    client.get_children('/kazoo')
    client.get_children('/kazoo', include_data=True)
    refused(NoNodeError, client.get_children, '/missing')
    client.sync('/kazoo')

    events = []
    arrived = client.handler.event_object()

    def watch(event):
        events.append(event)
        arrived.set()

    client.get('/kazoo', watch=watch)
    client.set('/kazoo', b'watched')
    assert arrived.wait(20)

    refused(NotEmptyError, client.delete, '/kazoo')
    client.delete('/kazoo/ephemeral', version=0)

    transaction = client.transaction()
    transaction.create('/kazoo/t', b't', ephemeral=True)
    transaction.create('/kazoo/t-', b't', sequence=True)
    transaction.set_data('/kazoo', b't')
    transaction.check('/kazoo', 3)
    transaction.delete('/kazoo/t')
    transaction.commit()
    transaction = client.transaction()
    transaction.create('/kazoo/u', b'u')
    transaction.check('/kazoo', 42)
    transaction.delete('/kazoo/u')
    transaction.commit()

    refused(NoAuthError, client.reconfig, joining=None, leaving='7', new_members=None)
    close(client)


def acls():
    client = connect(auth_data=[('digest', 'bob:pw')])
    client.create('/kazoo-acl', b'', acl=[make_digest_acl('bob', 'pw', all=True)])
    client.get_acls('/kazoo-acl')
    client.set_acls('/kazoo-acl', [make_digest_acl('bob', 'pw', read=True, admin=True)], version=0)
    close(client)


def sasl():
    client = connect(sasl_options={'mechanism': 'DIGEST-MD5', 'username': 'bob', 'password': 'bobsecret'})
    client.exists('/')
    close(client)


operations()
acls()
sasl()
