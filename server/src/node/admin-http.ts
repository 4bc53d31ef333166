import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { commandLinks, runCommand } from '../admin/commands.ts';
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from '../admin/prometheus.ts';
import type { ServerView } from '../admin/server-view.ts';
import type { AdminServerConfig, PrometheusConfig } from '../config.ts';
import type { Address } from '../ports.ts';

/**
 * HTTP for administrators: the AdminServer's commands, and the metrics for Prometheus (the original's `JettyAdminServer` and
 * `PrometheusMetricsProvider`). Plain GET requests in, short answers out; what is said stands in `admin/`.
 *
 * It is as open as the original's: who can reach the port can ask, and reset statistics. It shows no data of znodes.
 */

/** The port of an administrator can't be had. */
export class AdminServerError extends Error {
  override readonly name = 'AdminServerError';
  readonly code = 'ADMIN_SERVER';
  /** The key of zoo.cfg that asks for the port. */
  readonly key: string;

  constructor(key: string, what: string, cause: unknown) {
    super(`${what} can't be started: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.key = key;
  }
}

/** Serves the commands until it is closed. @throws AdminServerError */
export async function startAdminServer(config: AdminServerConfig, view: () => ServerView): Promise<HttpEndpoint> {
  const { commandUrl } = config;
  const route = ({ pathname, searchParams }: URL): Answer | undefined => {
    if (pathname === commandUrl || pathname === `${commandUrl}/`) {
      return { contentType: 'text/html; charset=utf-8', body: commandLinks(commandUrl) };
    }
    if (!pathname.startsWith(`${commandUrl}/`)) return undefined;
    const name = pathname.slice(commandUrl.length + 1);
    return { contentType: 'application/json', body: runCommand(name, new Map(searchParams), view()) };
  };
  try {
    return await HttpEndpoint.listen(config, route);
  } catch (error) {
    throw new AdminServerError('admin.serverPort', `the AdminServer on ${config.host}:${config.port}`, error);
  }
}

/** Serves the metrics until it is closed. @throws AdminServerError */
export async function startPrometheus(config: PrometheusConfig, view: () => ServerView): Promise<HttpEndpoint> {
  const route = ({ pathname }: URL): Answer | undefined =>
    pathname === '/metrics'
      ? { contentType: PROMETHEUS_CONTENT_TYPE, body: prometheusText(view(), config) }
      : undefined;
  try {
    return await HttpEndpoint.listen({ ...config, idleTimeoutMs: PROMETHEUS_IDLE_MS }, route);
  } catch (error) {
    throw new AdminServerError('metricsProvider.httpPort', `the metrics on ${config.host}:${config.port}`, error);
  }
}

const PROMETHEUS_IDLE_MS = 30_000;

/** Connections at a time; more are closed at once. */
const CONNECTIONS_MAX = 100;

interface Answer {
  readonly contentType: string;
  readonly body: string;
}

/** What it answers with; undefined where there is nothing. */
type Route = (url: URL) => Answer | undefined;

/** One listening port of HTTP. */
export class HttpEndpoint {
  readonly address: Address;
  readonly #server: HttpServer;

  private constructor(server: HttpServer, address: Address) {
    this.#server = server;
    this.address = address;
  }

  static listen(
    { host, port, idleTimeoutMs }: Address & { readonly idleTimeoutMs: number },
    route: Route,
  ): Promise<HttpEndpoint> {
    const timeouts = {
      keepAliveTimeout: idleTimeoutMs,
      requestTimeout: idleTimeoutMs,
      headersTimeout: idleTimeoutMs,
      // Node looks for what has come too late only so often: by default, every half minute.
      connectionsCheckingInterval: Math.ceil(idleTimeoutMs / 2),
    };
    const server = createServer(timeouts, (request, response) => respond(request, response, route));
    server.maxConnections = CONNECTIONS_MAX;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      // All addresses are those of IPv6 too, as in the original.
      server.listen({ port, ...(host === '0.0.0.0' ? {} : { host }) }, () => {
        const bound = server.address();
        const address =
          bound !== null && typeof bound === 'object' ? { host: bound.address, port: bound.port } : { host, port };
        resolve(new HttpEndpoint(server, address));
      });
    });
  }

  /** Ends the connections, answered or not. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function respond(request: IncomingMessage, response: ServerResponse, route: Route): void {
  // Bodies are of no interest; unread ones would keep the connection from its next request.
  request.resume();
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return end(response, 405, { contentType: 'text/plain', body: `${request.method} is not allowed\n` });
  }
  const url = URL.canParse(request.url ?? '', 'http://admin') ? new URL(request.url ?? '', 'http://admin') : undefined;
  if (url === undefined) return end(response, 400, { contentType: 'text/plain', body: 'not a URL\n' });
  const answer = route(url);
  if (answer === undefined) return end(response, 404, { contentType: 'text/plain', body: 'nothing is here\n' });
  end(response, 200, answer);
}

function end(response: ServerResponse, status: number, { contentType, body }: Answer): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}
