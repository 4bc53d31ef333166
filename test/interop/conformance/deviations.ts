/**
 * Where our server does something else than Apache ZooKeeper 3.8, and means to. A difference that is not here fails its scenario, and so
 * does one that is here and has gone.
 */
export interface Deviation {
  readonly scenario: RegExp;
  /** Lines that only Apache ZooKeeper's transcript has. */
  readonly theirs?: RegExp;
  /** Lines that only ours has. */
  readonly ours?: RegExp;
  readonly reason: string;
}

export const deviations: readonly Deviation[] = [
  {
    scenario: /^a wrong password beside a connection/,
    ours: /^A closeSession → OK/,
    reason: 'a wrong password leaves the connection that holds the session alone: nobody else should be disturbed',
  },
  {
    scenario: /^an operation code that is a server's own: deleteContainer/,
    theirs: /deleteContainer → BAD_ARGUMENTS|closeSession → OK/,
    ours: /deleteContainer → UNIMPLEMENTED zxid -1$/,
    reason: "a server's own operation, which asks for no permission: no client may use it",
  },
  {
    scenario: /^an operation code that is a server's own: createSession/,
    theirs: /createSession → unanswered|a reply to 0, which nobody asked for|closeSession → OK/,
    ours: /createSession → UNIMPLEMENTED zxid -1$/,
    reason: "a server's own operation: no client may use it",
  },
  {
    scenario: /^(check: paths|check outside of a multi)$/,
    theirs: /^A check .* → unanswered$/,
    ours: /^A check .* → OK z\+\d+$/,
    reason: '3.8 never answers a check outside of a multi that holds (a fault: the client waits for ever)',
  },
  {
    scenario: /^(setData|setACL|check): paths$/,
    theirs: /null → BAD_ARGUMENTS/,
    ours: /null → MARSHALLING_ERROR/,
    reason: 'a null path is malformed, here as there in every other operation; no client sends one',
  },
  {
    scenario: /^sync: paths$/,
    theirs: /null → OK/,
    ours: /null → MARSHALLING_ERROR/,
    reason: 'a null path is malformed',
  },
  {
    scenario: /^removeWatches: paths$/,
    theirs: /null → NO_WATCHER/,
    ours: /null → MARSHALLING_ERROR/,
    reason: 'a null path is malformed',
  },
  {
    scenario: /^checkWatches: paths$/,
    theirs: /"relative" → MARSHALLING_ERROR/,
    ours: /"relative" → NO_WATCHER/,
    reason: '3.8 stumbles over a path without a slash while it looks for recursive watches; removeWatches does not',
  },
  {
    scenario: /^sync: paths$/,
    theirs: /"~\/\u{1f600}" → .* and 15 bytes/u,
    ours: /"~\/\u{1f600}" → .* and 13 bytes/u,
    reason: 'Java writes a surrogate pair as two characters of three bytes, which is not UTF-8',
  },
  {
    scenario: /^(exists|getData|getACL|getChildren|getChildren2): paths$/,
    theirs: / "" → OK/,
    ours: / "" → NO_NODE/,
    reason: 'the empty path is an alias of the root inside of the original; no client lets it pass',
  },
  {
    scenario: /^multiRead$/,
    theirs: /request \{path "", watch false\}.*err -101\}, \{type 4/,
    ours: /request \{path "", watch false\}.*err -101\}, \{type -1, err -101\}/,
    reason: 'the empty path is an alias of the root inside of the original; no client lets it pass',
  },
  {
    scenario: /^ACLs of create and setACL/,
    theirs: /id null\}.* → MARSHALLING_ERROR/,
    ours: /id null\}.* → INVALID_ACL/,
    reason: 'world with a null id: 3.8 stumbles over it, where it refuses other null ids as we do',
  },
  {
    scenario: /^lengths and counts that are not there$/,
    theirs: /vectors? of -\d+ → (INVALID_ACL|OK)/,
    ours: /vectors? of -\d+ → MARSHALLING_ERROR/,
    reason: 'a negative count other than -1 is malformed; the original reads an empty list',
  },
  {
    scenario: /^IPv6 addresses in ACLs$/,
    theirs: /→ OK z\+\d+ \[\{type -1, err -114\}/,
    ours: /→ OK z\+\d+ \[\{type -1, err 0\}/,
    reason: '3.8 takes no IPv6 address in an ACL; later versions do',
  },
  {
    scenario: /^watch .*, then /,
    ours: /event → zxid -1 Node/,
    reason:
      'several kinds of watch of one client on one path are kept apart, as in later versions: in 3.8 the last one set decides for all, ' +
      'and events of a persistent watch are lost',
  },
  {
    scenario: /^addWatch: modes and paths$/,
    ours: /event → zxid -1 NodeChildrenChanged/,
    reason: 'a persistent and a recursive watch on one path are kept apart, as in later versions',
  },
  {
    scenario: /^checkWatches and removeWatches/,
    theirs: /Watches \{path "[^"]*", type [45]\} → MARSHALLING_ERROR/,
    ours: /Watches \{path "[^"]*", type [45]\} → (OK|NO_WATCHER)/,
    reason: 'the types Persistent and PersistentRecursive came after 3.8',
  },
  {
    scenario: /^checkWatches and removeWatches: .*(persistent|recursive)/,
    theirs: /Watches \{path "[^"]*", type [12]\} → OK/,
    ours: /Watches \{path "[^"]*", type [12]\} → NO_WATCHER/,
    reason:
      'a persistent watch is neither a data watch nor a child watch, as in later versions; 3.8 removes one half of it',
  },
  {
    scenario: /^checkWatches and removeWatches: .*(persistent|recursive)/,
    theirs: /event → zxid -1 Node/,
    ours: /event → zxid -1 Node/,
    reason: 'what is or is not watched any more, after the removals above',
  },
  {
    scenario: /^a ping under an ordinary xid$/,
    theirs: /ping → unanswered|which nobody asked for/,
    ours: /ping → OK/,
    reason: 'the original answers every ping under the xid -2, which is the only one that clients use',
  },
  {
    scenario: /^SASL without a token$/,
    theirs: /unanswered|closed by the server/,
    ours: /→ OK|closed by the server/,
    reason: 'the original stumbles over a token of null and drops the connection',
  },
  {
    scenario: /^four-letter words$/,
    theirs: /^envi → "java\./,
    ours: /^envi → "node\./,
    reason: 'the environment is not that of a JVM',
  },
  {
    scenario: /^mntr/,
    theirs:
      /namespace|commit|prep_process|sync_process|dead_watcher|election|_sync_time|inflight|unavailable|learner|netty|_om_|pending_session|propagation|propos|ack_|session_queue|throttle_queue|server_write|write_|read_|socket_closing|startup_|_pool_|jvm|connection_token|close_session_prep|concurrent|diff_count|snap_count|ensemble_auth|looking|outstanding_changes|disloyal|response_packet|revalidate|stale_|tls_|unsuccessful|insecure|without_zk_server/,
    reason: 'measures of threads, queues and caches that the original has inside, and of an ensemble',
  },
];
