import { request as ask, type IncomingMessage, type ServerResponse } from "node:http";

/** Sends a request on to a real server, as if the page came from there, and its answer back as it arrives. */
export function forward(server: string, request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const { host: _host, origin: _origin, referer: _referer, ...headers } = request.headers;
  const onward = ask(new URL(request.url!, server), { method: request.method!, headers }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  onward.end(body);
}
