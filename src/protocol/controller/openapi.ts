import { openApi, type Face, type Json } from '../public/openapi.ts';
import type { Contract } from '../route.ts';

const WEB: readonly Json[] = [{ bearer: [] }, { session: [] }];
const certificate = (...roles: string[]): Json[] => roles.map((role) => ({ certificate: [role] }));
const socket: Json = { unixSocket: [] };

const FACE: Face = {
  errors:
    'The web listener sends it flat, as application/problem+json (RFC 9457): `detail` is the message; `code`, `hint`, `retryable` and `facts` stand beside it.',
  servers: [
    {
      url: 'https://{address}',
      description: 'The web listener (tokens and sessions), or the listener for certificates.',
      variables: {
        address: { default: 'localhost:7445', description: 'host:port of the controller' },
      },
    },
    { url: 'http://localhost', description: 'The same over the unix socket controller.sock.' },
  ],
  schemes: {
    bearer: {
      type: 'http',
      scheme: 'bearer',
      description: 'A token of `godwit token create`, at the web listener.',
    },
    session: {
      type: 'apiKey',
      in: 'cookie',
      name: '__Host-godwit',
      description:
        'The cookie of POST /v1/session, at the web listener. What changes something needs the header `x-godwit-request: 1` and an Origin or Sec-Fetch-Site of the same origin besides.',
    },
    certificate: {
      type: 'mutualTLS',
      description: 'A client certificate of the fleet’s CA; its OU is the role.',
    },
    unixSocket: {
      type: 'http',
      scheme: 'unix-socket',
      description: 'The socket controller.sock, which only the controller’s user may open.',
    },
  },
  access: {
    anyone: 'Nobody is asked who it is.',
    viewer: 'For viewers, operators and admins, certificates of the CA, and over the unix socket.',
    orders: 'For operators, admins and controllers, and over the unix socket.',
    operator: 'For operators and admins, and over the unix socket.',
    admin: 'For admins, and over the unix socket.',
    member: 'For agents and controllers.',
    agent: 'For agents.',
    local: 'Only over the unix socket.',
  },
  security: {
    anyone: [],
    viewer: [...WEB, ...certificate('viewer', 'operator', 'controller', 'agent'), socket],
    orders: [...WEB, ...certificate('operator', 'controller'), socket],
    operator: [...WEB, ...certificate('operator'), socket],
    admin: [...WEB, socket],
    member: certificate('agent', 'controller'),
    agent: certificate('agent'),
    local: [socket],
  },
  notLetIn: ['GODWIT_SIGN_IN', 'GODWIT_TOKEN_REFUSED', 'GODWIT_STORE'],
  notTaken: ['GODWIT_REQUEST_FORGED', 'GODWIT_SIGN_IN_OFTEN'],
};

export function controllerDocument(contract: Contract): Json {
  return openApi(contract, 'Godwit controller', FACE);
}
