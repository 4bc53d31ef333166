/** Bytes that are not what the protocol says they must be: truncated, oversized, or with an impossible length. */
export class MarshallingError extends Error {
  override readonly name = 'MarshallingError';
  readonly code = 'MARSHALLING_ERROR';
}
