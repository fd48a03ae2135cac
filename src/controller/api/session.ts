import { godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { sessionRoutes, Session, SignInMethods } from '../../protocol/controller/session.ts';
import { cursorAt, timeKeyIn } from '../../protocol/public/page.ts';
import type { Caller } from '../../rpc/caller.ts';
import { networkOf } from '../../rpc/identity.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { BucketLimit, TokenBuckets } from '../../token-buckets.ts';
import { momentOf } from '../inventory/answers.ts';
import type { Audit } from '../audit/audit.ts';
import { cookieOf, NO_COOKIE, secretIn } from '../who/cookie.ts';
import type { Recognition } from '../who/recognition.ts';
import type { Sessions } from '../who/sessions.ts';
import type { Tokens } from '../who/tokens.ts';

export const SIGN_IN_ATTEMPTS: BucketLimit = { burst: 10, everyMs: 30_000, maxKeys: 4096 };

export interface SessionHandlerDependencies {
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly recognition: Recognition;
  readonly attempts: TokenBuckets;
  readonly audit: Pick<Audit, 'sessionChanges'>;
  readonly methods: SignInMethods;
  readonly log: Log;
}

export function sessionHandlers(deps: SessionHandlerDependencies): Handlers<typeof sessionRoutes> {
  const { tokens, sessions, recognition, attempts, audit, methods, log } = deps;
  return {
    sessions: async ({ query: { name, limit, cursor } }) => {
      const after = cursor === undefined ? undefined : timeKeyIn(cursor);
      const found = await sessions.list({ name, limit, after });
      const page = found.slice(0, limit);
      const last = page.at(-1);
      if (last === undefined || found.length <= limit) return { sessions: page };
      const next = cursorAt([String(Date.parse(last.createdAt)), last.id]);
      return { sessions: page, next };
    },
    endSession: async ({ params: { id }, caller }) => {
      await sessions.endById(id);
      log.info({ session: id, by: caller.name }, 'session ended');
      return { ok: true };
    },
    endSessions: async ({ query: { name }, caller }) => {
      const ended = await sessions.endByName(name);
      log.info({ name, ended, by: caller.name }, 'sessions of a name ended');
      return { ended };
    },
    session: ({ caller }) => sessionOf(caller, methods),
    signIn: async ({ body, calledFrom: from, header }) => {
      const network = networkOf(from ?? 'this host');
      // Many people share an address, so one person's failures must not block the others.
      const find = (secret: string) => tokens.find(secret);
      const known = await recognition.owner(body.token, network, find);
      if (known === undefined) {
        if (attempts.take(network))
          throw godwitError('GODWIT_TOKEN_REFUSED', { what: 'the token' });
        const seconds = Math.ceil(attempts.waitMs(network) / 1000);
        throw godwitError('GODWIT_SIGN_IN_OFTEN', { network, seconds });
      }
      const who = { who: known.name, role: known.role, by: 'token', from } as const;
      await audit.sessionChanges({ ...who, what: 'signIn', route: 'POST /v1/session' });
      const { secret, name, role, expiresAtMs } = await sessions.begin({ token: body.token });
      header('set-cookie', cookieOf(secret, expiresAtMs - Date.now()));
      return sessionOf({ name, role, by: 'session', expiresAtMs }, methods);
    },
    signOut: async ({ request, caller, calledFrom: from, header }) => {
      const secret = secretIn(request.headers.cookie);
      if (secret !== undefined && caller.role !== 'none' && caller.by === 'session') {
        const who = { who: caller.name, role: caller.role, by: 'session', from } as const;
        await audit.sessionChanges({ ...who, what: 'signOut', route: 'DELETE /v1/session' });
        await sessions.end(secret);
      }
      header('set-cookie', NO_COOKIE);
      return { ok: true };
    },
  };
}

/** Users of the Unix socket may do everything, and hosts read. */
function sessionOf(caller: Caller, methods: SignInMethods): Session {
  if (caller.role === 'none') throw caller.refusal;
  const { name, role, expiresAtMs } = caller;
  if (role === 'relay') {
    const facts = { peer: name, role, action: 'to ask who it is', needs: 'another role' };
    throw godwitError('GODWIT_ROLE_FORBIDDEN', facts);
  }
  const end = expiresAtMs === undefined ? {} : { expiresAt: momentOf(expiresAtMs) };
  const webRole =
    role === 'local' ? 'admin' : role === 'agent' || role === 'controller' ? 'viewer' : role;
  return { name, role: webRole, ...end, methods };
}
