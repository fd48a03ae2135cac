import type { Server, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { godwitError, type GodwitError } from '../errors.ts';
import type { Access, Role } from '../protocol/route.ts';
import type { ShownCertificate } from '../protocol/peer/fleet.ts';
import { chainFailure, identityOf, shownBy, type Credentials, type Refuses } from './tls.ts';

/**
 * Who sends a request. `local` came over a unix socket; `none` has not shown a certificate that we trust. `admin` comes only
 * by a token or a session of a controller's web listener.
 */
export type Caller =
  | {
      readonly role: Role | 'admin' | 'local';
      readonly name: string;
      /** What a caller over TLS showed, DER. */
      readonly certificate?: Buffer;
      /** How a controller itself knows the caller, where it does. */
      readonly by?: 'token' | 'session';
      /** When that ends by itself, ms since 1970. */
      readonly expiresAtMs?: number;
    }
  | { readonly role: 'none'; readonly name: string; readonly refusal: GodwitError };

interface PresentedIdentity {
  readonly caller: Caller;
  readonly validToMs: number;
  readonly validTo: string;
  /** Absent where it is no certificate that we trust. */
  readonly certificate?: ShownCertificate;
}

const MAY: Readonly<Record<Access, ReadonlySet<Caller['role']>>> = {
  anyone: new Set(['none', 'viewer', 'operator', 'admin', 'controller', 'agent', 'relay', 'local']),
  viewer: new Set(['viewer', 'operator', 'admin', 'controller', 'agent', 'local']),
  orders: new Set(['operator', 'admin', 'controller', 'local']),
  operator: new Set(['operator', 'admin', 'local']),
  admin: new Set(['admin', 'local']),
  member: new Set(['controller', 'agent']),
  agent: new Set(['agent']),
  local: new Set(['local']),
};

// The chain is checked once a connection; its end of validity, and whether its holder has been taken its rights, with
// each request, since connections live long.
const seen = new WeakMap<TLSSocket, PresentedIdentity>();
const gates = new WeakMap<Socket, Refuses>();

/** From now on whoever connects to this TLS server is asked for by `credentials.refuses`, with each of its requests. */
export function askFor(server: Server, { refuses }: Pick<Credentials, 'refuses'>): void {
  if (refuses === undefined) return;
  server.prependListener('secureConnection', (socket: TLSSocket) => gates.set(socket, refuses));
}

/** Who is at the other end of this connection, at this moment. */
export function callerOf(socket: Socket): Caller {
  if (!(socket instanceof TLSSocket)) return { role: 'local', name: 'a local process' };
  let shown = seen.get(socket);
  if (shown === undefined) {
    shown = tlsCaller(socket);
    seen.set(socket, shown);
  }
  if (shown.caller.role !== 'none' && shown.validToMs < Date.now()) {
    return expired(shown.caller.name, shown.validTo);
  }
  const refusal = shown.certificate && gates.get(socket)?.(shown.certificate);
  return refusal === undefined ? shown.caller : none(shown.caller.name, refusal);
}

function tlsCaller(socket: TLSSocket): PresentedIdentity {
  const from = socket.remoteAddress ?? 'a peer';
  const cert = socket.getPeerCertificate() as ReturnType<TLSSocket['getPeerCertificate']> | null;
  const validTo = cert?.valid_to ?? '';
  const of = (caller: Caller): PresentedIdentity => ({
    caller,
    validTo,
    validToMs: Date.parse(validTo),
  });
  const untrusted = (reason: string): PresentedIdentity =>
    of(none(from, godwitError('GODWIT_PEER_UNTRUSTED', { peer: from, reason })));

  if (socket.isSessionReused()) return untrusted('a resumed session shows none');
  if (cert === null || Object.keys(cert).length === 0) return untrusted('none was sent');
  const identity = identityOf(cert.subject);
  const name = typeof identity === 'string' ? from : `${identity.name} (${from})`;
  if (!socket.authorized) {
    // The type says Error; what node puts there is the code.
    const code = String(socket.authorizationError);
    return of(
      none(
        name,
        chainFailure(code, name, validTo) ??
          godwitError('GODWIT_PEER_UNTRUSTED', { peer: name, reason: code }),
      ),
    );
  }
  if (typeof identity === 'string') return untrusted(identity);
  return { ...of({ ...identity, certificate: cert.raw }), certificate: shownBy(cert, identity) };
}

const NEEDS: Readonly<Record<Access, string>> = {
  anyone: 'nothing',
  viewer: 'the role viewer',
  orders: 'the role operator or controller',
  operator: 'the role operator',
  admin: 'the role admin',
  member: 'the role agent or controller',
  agent: 'the role agent',
  local: 'the unix socket of its own host',
};

/** Throws the refusal that says who may; nothing where the table allows it. */
export function checkAccess(caller: Caller, access: Access, action: string): void {
  if (MAY[access].has(caller.role)) return;
  if (caller.role === 'none') throw caller.refusal;
  throw godwitError('GODWIT_ROLE_FORBIDDEN', {
    peer: caller.name,
    role: caller.role,
    action,
    needs: NEEDS[access],
  });
}

function none(name: string, refusal: GodwitError): Caller {
  return { role: 'none', name, refusal };
}

function expired(name: string, validTo: string): Caller {
  const date = new Date(validTo).toISOString();
  return none(name, godwitError('GODWIT_CERT_EXPIRED', { peer: name, date }));
}
