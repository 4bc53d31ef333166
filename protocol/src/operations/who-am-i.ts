import type { Codec } from '../codec.ts';

/** One identity of the connection; of a digest only the user. */
export interface ClientInfo {
  readonly authScheme: string;
  readonly user: string;
}

/** `clientInfo vector<{authScheme ustring, user ustring}>`, since 3.7. The request has no body. */
export interface WhoAmIResponse {
  readonly clientInfo: readonly ClientInfo[];
}

export const whoAmIResponse: Codec<WhoAmIResponse> = {
  read: (reader) => ({
    clientInfo:
      reader.readVector(
        () => ({
          authScheme: reader.readRequiredString('scheme'),
          user: reader.readRequiredString('user'),
        }),
        8,
      ) ?? [],
  }),
  write: (writer, value) =>
    writer.writeVector(value.clientInfo, (w, info) => {
      w.writeString(info.authScheme);
      w.writeString(info.user);
    }),
};
