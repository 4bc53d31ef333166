/** What the wire knows of one request, for whoever traces it: the session fills it in as the request goes. */
import type { SessionId, Xid, Zxid } from 'zookeeper-protocol-ts';

export interface RequestTrace {
  /** `host:port` that it was sent to. Undefined, like the next three, as long as it was not sent. */
  server: string | undefined;
  sessionId: SessionId | undefined;
  xid: Xid | undefined;
  /** With its header, without the length in front. */
  requestBytes: number | undefined;
  /** Of the answer. Undefined, like the next two, as long as there is none. */
  zxid: Zxid | undefined;
  responseBytes: number | undefined;
  /** `OK`, or the name of the code that the server refused with (`NO_NODE`); the number of an unknown one. */
  errorCode: string | undefined;
}
