import type { Log } from '../../log.ts';
import type { tokenRoutes } from '../../protocol/controller/tokens.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { Tokens } from '../who/tokens.ts';

export interface TokenHandlerDependencies {
  readonly tokens: Tokens;
  readonly log: Log;
}

export function tokenHandlers({
  tokens,
  log,
}: TokenHandlerDependencies): Handlers<typeof tokenRoutes> {
  return {
    tokens: async () => ({ tokens: await tokens.list() }),
    createToken: async ({ body, caller }) => {
      const made = await tokens.create({ ...body, by: caller.name });
      log.info({ token: body.name, role: body.role, by: caller.name }, 'token made');
      return made;
    },
    revokeToken: async ({ params: { name }, caller }) => {
      await tokens.revoke(name);
      log.info({ token: name, by: caller.name }, 'token revoked');
      return { ok: true };
    },
  };
}
