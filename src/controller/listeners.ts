import type { RequestListener } from 'node:http';
import path from 'node:path';
import type { GodwitError } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { controllerContract } from '../protocol/controller/contract.ts';
import type { SignInMethods } from '../protocol/controller/session.ts';
import { listenTls, listenUnix, type Listening, type ListenOptionsOf } from '../rpc/listen.ts';
import { SendQueues } from '../rpc/send-queues.ts';
import { serve, type Handlers } from '../rpc/server.ts';
import type { Credentials } from '../rpc/tls.ts';
import { VanishedPeerWatch } from '../rpc/vanished-peers.ts';
import {
  hostAgentContract,
  hostAgentHandlers,
  type HostAgentDependencies,
} from './api/host-agents.ts';
import type { Audit } from './audit/audit.ts';
import type { ControllerConfig } from './config.ts';
import { managerAgentContract, managerAgentHandlers } from './managers/agent-routes.ts';
import type { Managers } from './managers/managers.ts';
import type { Metrics } from './metrics.ts';
import type { Provider } from './oidc/provider.ts';
import { dashboardPages, docsPages, Files } from './web/files.ts';
import { webForm } from './web/form.ts';
import { WEB_LIMITS } from './web/limits.ts';
import { listenWeb } from './web/listener.ts';
import { signInListener } from './web/sign-in.ts';
import { webCaller, type WhoDependencies } from './who/callers.ts';
import type { Sessions } from './who/sessions.ts';

const GRACE_MS = 2000;

/** The built dashboard, in a clone and in a package, where it is next to the programs. */
const PAGES = import.meta.filename.endsWith('.ts')
  ? path.resolve(import.meta.dirname, '../../dist/web')
  : path.resolve(import.meta.dirname, '../web');

export interface ListenerDependencies
  extends Omit<WhoDependencies, 'origin' | 'sessions'>, HostAgentDependencies {
  readonly sessions: Sessions;
  readonly config: ControllerConfig;
  readonly credentials: Credentials;
  readonly handlers: Handlers<typeof controllerContract>;
  readonly managers: Pick<Managers, 'agentOf'>;
  readonly methods: SignInMethods;
  readonly provider: Provider | undefined;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, 'watch'>;
  readonly audit: Audit;
  readonly listening: ListenOptionsOf;
  readonly log: Log;
  readonly pages?: string | undefined;
}

export interface Listeners {
  readonly address: string;
  readonly socket: string;
  readonly web: string | undefined;
  close(): Promise<void>;
}

const CONTRACT = { ...controllerContract, ...managerAgentContract, ...hostAgentContract };

function allHandlers(deps: ListenerDependencies): Handlers<typeof CONTRACT> {
  const { handlers, managers } = deps;
  const ofManagers = managerAgentHandlers((manager) => managers.agentOf(manager));
  return { ...handlers, ...ofManagers, ...hostAgentHandlers(deps) };
}

export async function openListeners(deps: ListenerDependencies): Promise<Listeners> {
  const { config, credentials, listening, metrics, audit } = deps;
  const { watch } = metrics;
  const { name } = config;
  const queues = new SendQueues();
  const serving = { name, watch, record: audit, ...listening, queues };
  const listener = serve(CONTRACT, allHandlers(deps), serving);
  const vanished = new VanishedPeerWatch(listening.log);
  const watched =
    (serves: RequestListener): RequestListener =>
    (request, response) => {
      vanished.watch(request.socket);
      serves(request, response);
    };
  const open: Listening[] = [];
  const close = async (graceMs?: number): Promise<void> => {
    await Promise.all(open.map((each) => each.close(graceMs)));
  };
  try {
    const tls = await listenTls(watched(listener), config, credentials, listening);
    open.push(tls);
    const socket = path.join(config.stateDir, 'controller.sock');
    const unix = await listenUnix(listener, socket, listening);
    open.push(unix);
    const web = await openWeb({ ...deps, queues }, watched);
    if (web !== undefined) open.push(web);
    return {
      address: tls.address,
      socket: unix.address,
      web: web?.address,
      close: () => close(GRACE_MS),
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function openWeb(
  deps: ListenerDependencies & { readonly queues: SendQueues },
  watched: (serves: RequestListener) => RequestListener,
): Promise<Listening | undefined> {
  const { config, credentials, methods, metrics, listening, queues, pages = PAGES } = deps;
  const { web, name } = config;
  if (web === undefined) return undefined;
  // The answer to an unauthenticated caller lists the ways to sign in.
  const further = ({ http }: GodwitError): object => (http === 401 ? { methods } : {});
  const who = { ...deps, origin: web.url };
  const api = serve(CONTRACT, allHandlers(deps), {
    name,
    watch: metrics.watch,
    record: deps.audit,
    ...listening,
    queues,
    limits: WEB_LIMITS,
    callerOf: (request) => webCaller(who, request),
    form: webForm(further),
  });
  const { provider, sessions, log, clock, audit } = deps;
  const wallMs = (): number => clock.wallMs();
  const signIn = provider && watched(signInListener({ provider, sessions, audit, log, wallMs }));
  const served = {
    files: new Files(dashboardPages(pages)),
    docs: new Files(docsPages(pages)),
  };
  return listenWeb({ config: web, credentials, api: watched(api), signIn, ...served, listening });
}
