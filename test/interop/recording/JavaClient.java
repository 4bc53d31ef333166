import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/**
 * Makes Apache ZooKeeper's own client send every operation that it has, successfully and, where that has a reply of its own,
 * refused. Run in single-file source mode: JavaClient.java PROXIED DIRECT SCENARIO..., where PROXIED is the recorded address
 * and DIRECT is the same server unrecorded. The lines `disconnect` and `reconnect` on its output ask the proxy to cut its
 * connections and refuse new ones, and to accept them again.
 */
public final class JavaClient {
  private static final int SESSION_TIMEOUT_MS = 4_000;

  private final String proxied;
  private final String direct;

  private JavaClient(String proxied, String direct) {
    this.proxied = proxied;
    this.direct = direct;
  }

  public static void main(String[] args) throws Exception {
    JavaClient client = new JavaClient(args[0], args[1]);
    for (String scenario : Arrays.asList(args).subList(2, args.length)) {
      switch (scenario) {
        case "operations" -> client.operations();
        case "acls" -> client.acls();
        case "multi" -> client.multi();
        case "watches" -> client.watches();
        case "setWatches" -> client.setWatches();
        case "sasl" -> client.sasl();
        case "reconfig" -> client.reconfig();
        case "readOnly" -> client.readOnly();
        default -> throw new IllegalArgumentException("no such scenario: " + scenario);
      }
    }
  }

  private void operations() throws Exception {
    try (ZooKeeper zooKeeper = connect()) {
      // Every create mode with the operation that the client picks for it, with a Stat wanted and without.
      zooKeeper.create("/java", bytes("root"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      zooKeeper.create("/java/none", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      zooKeeper.create("/java/ephemeral", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, new Stat());
      zooKeeper.create("/java/n-", bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
      zooKeeper.create("/java/n-", bytes("2"), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL, new Stat());
      zooKeeper.create("/java/container", bytes("c"), Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
      zooKeeper.create("/java/container/child", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      zooKeeper.create("/java/ttl", bytes("t"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 60_000);
      zooKeeper.create("/java/ttl-", bytes("t"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, new Stat(),
          0xFFFFFFFFFFL);
      zooKeeper.create("/java/größe-漢字", bytes("größe 漢字 🐘"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      refused(Code.NODEEXISTS, () -> zooKeeper.create("/java", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
      refused(Code.NOCHILDRENFOREPHEMERALS,
          () -> zooKeeper.create("/java/ephemeral/x", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));

      zooKeeper.setData("/java", bytes("changed"), 0);
      zooKeeper.setData("/java", null, -1);
      refused(Code.BADVERSION, () -> zooKeeper.setData("/java", bytes("x"), 0));
      zooKeeper.getData("/java", false, new Stat());
      zooKeeper.getData("/java/größe-漢字", false, new Stat());
      refused(Code.NONODE, () -> zooKeeper.getData("/missing", false, null));
      zooKeeper.exists("/java", false);
      zooKeeper.exists("/missing", false);
      zooKeeper.getChildren("/java", false);
      zooKeeper.getChildren("/java", false, new Stat());
      zooKeeper.getChildren("/java/none", false);
      refused(Code.NONODE, () -> zooKeeper.getChildren("/missing", false, new Stat()));
      zooKeeper.getAllChildrenNumber("/");
      zooKeeper.getEphemerals();
      zooKeeper.getEphemerals("/java/n-");
      zooKeeper.getEphemerals("/elsewhere");
      CountDownLatch synced = new CountDownLatch(1);
      zooKeeper.sync("/java", (code, path, context) -> synced.countDown(), null);
      synced.await();
      zooKeeper.getConfig(false, new Stat());

      refused(Code.NOTEMPTY, () -> zooKeeper.delete("/java", -1));
      refused(Code.BADVERSION, () -> zooKeeper.delete("/java/none", 7));
      zooKeeper.delete("/java/none", 0);
      // The server deletes the container some time after this, in a transaction of its own.
      zooKeeper.delete("/java/container/child", -1);
      // Long enough for pings.
      Thread.sleep(SESSION_TIMEOUT_MS);
    }
  }

  private void acls() throws Exception {
    try (ZooKeeper zooKeeper = connect()) {
      refused(Code.INVALIDACL, () -> zooKeeper.create("/acl", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
      zooKeeper.addAuthInfo("digest", bytes("bob:pw"));
      zooKeeper.whoAmI();
      zooKeeper.create("/acl", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
      zooKeeper.getACL("/acl", new Stat());
      // The client asks its list whether it contains null, which a List.of() refuses to answer.
      zooKeeper.setACL("/acl", Arrays.asList(
          new ACL(Perms.ALL, new Id("digest", DigestAuthenticationProvider.generateDigest("bob:pw"))),
          new ACL(Perms.READ | Perms.CREATE, new Id("ip", "127.0.0.0/8")),
          new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE)), 0);
      refused(Code.BADVERSION, () -> zooKeeper.setACL("/acl", Ids.OPEN_ACL_UNSAFE, 0));
      zooKeeper.getACL("/acl", new Stat());
      try (ZooKeeper stranger = connect()) {
        refused(Code.NOAUTH, () -> stranger.setData("/acl", bytes("x"), -1));
        refused(Code.NOAUTH, () -> stranger.setACL("/acl", Ids.OPEN_ACL_UNSAFE, -1));
        stranger.getACL("/acl", new Stat());
      }
    }
    try (ZooKeeper zooKeeper = connect()) {
      zooKeeper.addAuthInfo("nonsense", bytes("x"));
      // Fails with AUTHFAILED or CONNECTIONLOSS, depending on what the client sees first.
      try {
        zooKeeper.exists("/acl", false);
      } catch (KeeperException expected) {
        System.err.println("unknown scheme: " + expected.code());
      }
    }
  }

  private void multi() throws Exception {
    try (ZooKeeper zooKeeper = connect()) {
      zooKeeper.multi(List.of(
          Op.create("/multi", bytes("m"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
          Op.create("/multi/n-", bytes("n"), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
          Op.create("/multi/container", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
          Op.create("/multi/ttl", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 60_000),
          Op.setData("/multi", bytes("mm"), 0),
          Op.check("/multi", 1),
          Op.delete("/multi/ttl", -1)));
      refused(Code.BADVERSION, () -> zooKeeper.multi(List.of(
          Op.create("/multi/x", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
          Op.check("/multi", 42),
          Op.delete("/multi/x", -1),
          Op.setData("/multi", null, -1))));
      zooKeeper.multi(List.of(
          Op.getData("/multi"), Op.getChildren("/multi"), Op.getData("/missing"), Op.getChildren("/missing")));
    }
  }

  private void watches() throws Exception {
    try (ZooKeeper zooKeeper = connect()) {
      Events events = new Events();
      Events others = new Events();
      zooKeeper.exists("/watched", events);
      zooKeeper.create("/watched", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      events.await(EventType.NodeCreated);
      zooKeeper.getData("/watched", events, null);
      zooKeeper.setData("/watched", bytes("1"), -1);
      events.await(EventType.NodeDataChanged);
      zooKeeper.getChildren("/watched", events);
      zooKeeper.create("/watched/child", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      events.await(EventType.NodeChildrenChanged);

      // removeWatches asks with checkWatches, whether a watcher is the last one or not; only removeAllWatches removes.
      zooKeeper.getData("/watched", events, null);
      zooKeeper.getData("/watched", others, null);
      zooKeeper.removeWatches("/watched", events, WatcherType.Data, false);
      zooKeeper.removeWatches("/watched", others, WatcherType.Data, false);
      zooKeeper.getChildren("/watched", events, null);
      zooKeeper.removeAllWatches("/watched", WatcherType.Children, false);

      zooKeeper.addWatch("/watched", events, AddWatchMode.PERSISTENT);
      zooKeeper.addWatch("/watched/child", events, AddWatchMode.PERSISTENT_RECURSIVE);
      zooKeeper.create("/watched/child/grandchild", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      zooKeeper.delete("/watched/child/grandchild", -1);
      zooKeeper.setData("/watched", bytes("2"), -1);
      zooKeeper.delete("/watched/child", -1);
      zooKeeper.removeWatches("/watched", events, WatcherType.Any, false);
    }
  }

  private void setWatches() throws Exception {
    try (ZooKeeper elsewhere = new ZooKeeper(direct, SESSION_TIMEOUT_MS, event -> {}, withoutSasl())) {
      Events states = new Events();
      try (ZooKeeper zooKeeper = new ZooKeeper(proxied, SESSION_TIMEOUT_MS, states, withoutSasl())) {
        states.await(KeeperState.SyncConnected);
        zooKeeper.addAuthInfo("digest", bytes("bob:pw"));
        Events events = new Events();
        for (String path : List.of("/again", "/again/changed", "/again/deleted")) {
          zooKeeper.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
          zooKeeper.getData(path, events, null);
        }
        zooKeeper.getChildren("/again", events);
        zooKeeper.exists("/again/created", events);
        zooKeeper.exists("/again/never", events);

        disconnect(states);
        elsewhere.setData("/again/changed", bytes("x"), -1);
        elsewhere.delete("/again/deleted", -1);
        elsewhere.create("/again/created", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        reconnect(states);
        events.await(EventType.NodeDeleted);
        zooKeeper.exists("/again", false);

        zooKeeper.addWatch("/again", events, AddWatchMode.PERSISTENT);
        zooKeeper.addWatch("/again/changed", events, AddWatchMode.PERSISTENT_RECURSIVE);
        disconnect(states);
        elsewhere.setData("/again", bytes("x"), -1);
        reconnect(states);
        zooKeeper.exists("/again", false);
      }
    }
  }

  private void sasl() throws Exception {
    try (ZooKeeper zooKeeper = new ZooKeeper(proxied, SESSION_TIMEOUT_MS, event -> {}, withSasl("Client"))) {
      zooKeeper.whoAmI();
    }
    Events states = new Events();
    try (ZooKeeper zooKeeper = new ZooKeeper(proxied, SESSION_TIMEOUT_MS, states, withSasl("Stranger"))) {
      states.await(KeeperState.AuthFailed);
    }
  }

  private void reconfig() throws Exception {
    try (ZooKeeperAdmin admin = new ZooKeeperAdmin(proxied, SESSION_TIMEOUT_MS, event -> {}, withoutSasl())) {
      refused(Code.NOAUTH, () -> admin.reconfigure((String) null, "7", null, -1, new Stat()));
      admin.addAuthInfo("digest", bytes("super:test"));
      byte[] before = admin.getConfig(false, new Stat());
      refused(Code.BADVERSION, () -> admin.reconfigure((String) null, "7", null, 1, new Stat()));
      // The present members again: a configuration of a new version that changes nothing.
      String members = new String(before, StandardCharsets.UTF_8).replaceAll("\nversion=.*", "").replace('\n', ',');
      admin.reconfigure((String) null, null, members, -1, new Stat());
    }
  }

  private void readOnly() throws Exception {
    Events states = new Events();
    try (ZooKeeper zooKeeper = new ZooKeeper(proxied, SESSION_TIMEOUT_MS, states, true, withoutSasl())) {
      states.await(KeeperState.ConnectedReadOnly);
      zooKeeper.getChildren("/", false);
      refused(Code.NOTREADONLY, () -> zooKeeper.setData("/", null, -1));
    }
  }

  private ZooKeeper connect() throws Exception {
    return new ZooKeeper(proxied, SESSION_TIMEOUT_MS, event -> {}, withoutSasl());
  }

  private static ZKClientConfig withoutSasl() {
    ZKClientConfig config = new ZKClientConfig();
    config.setProperty(ZKClientConfig.ENABLE_CLIENT_SASL_KEY, "false");
    return config;
  }

  private static ZKClientConfig withSasl(String section) {
    ZKClientConfig config = new ZKClientConfig();
    config.setProperty(ZKClientConfig.LOGIN_CONTEXT_NAME_KEY, section);
    return config;
  }

  private static void disconnect(Events states) throws Exception {
    System.out.println("disconnect");
    states.await(KeeperState.Disconnected);
  }

  private static void reconnect(Events states) throws Exception {
    System.out.println("reconnect");
    states.await(KeeperState.SyncConnected);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private interface Call {
    void run() throws Exception;
  }

  private static void refused(Code code, Call call) throws Exception {
    try {
      call.run();
    } catch (KeeperException refusal) {
      if (refusal.code() == code) return;
      throw refusal;
    }
    throw new IllegalStateException("expected " + code);
  }

  /** Waits for events; those that come before the awaited one are passed over. */
  private static final class Events implements Watcher {
    private final BlockingQueue<WatchedEvent> queue = new LinkedBlockingQueue<>();

    @Override
    public void process(WatchedEvent event) {
      queue.add(event);
    }

    void await(EventType type) throws InterruptedException {
      while (next().getType() != type) continue;
    }

    void await(KeeperState state) throws InterruptedException {
      while (next().getState() != state) continue;
    }

    private WatchedEvent next() throws InterruptedException {
      WatchedEvent event = queue.poll(20, TimeUnit.SECONDS);
      if (event == null) throw new IllegalStateException("no event came");
      return event;
    }
  }
}
