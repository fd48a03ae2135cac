import { spec, type Flag } from '../verb.ts';

/** The verbs that set up hosts and shells, and the programs that run on hosts. Data only: the help must not cost an import. */

const config = {
  kind: 'file',
  value: 'file',
  summary: "the agent's configuration, which is written",
  preset: '/etc/godwit/agent.json',
} as const satisfies Flag;

const stateDir = {
  kind: 'file',
  value: 'directory',
  summary: 'everything that Godwit keeps on this host',
  preset: '/var/lib/godwit',
} as const satisfies Flag;

const storage = {
  kind: 'file',
  value: 'directory',
  summary: 'where disks of guests lie, once for each; without it, the usual places that are there',
  repeatable: true,
} as const satisfies Flag;

export const initSpec = spec({
  name: 'init',
  summary: 'set this host up as the first of a fleet: its CA, certificate and configuration',
  details:
    'Looks for addresses, storage, bridges and QEMU, tries the port, and writes a configuration; beside it lies a text ' +
    'that explains each line. Changes nothing where there is a configuration. Ends with what to type next.',
  args: {
    name: { kind: 'text', summary: "the host's name; its own where it is left out" },
  },
  flags: {
    address: {
      kind: 'text',
      value: 'ip[:port]',
      summary:
        'how other hosts reach this one (default: the address of the default route, and port 7443)',
    },
    storage,
    config,
    stateDir,
  },
  examples: ['init', 'init a --address 10.0.0.1 --storage /srv/images'],
  json: 'setUp',
});

export const inviteSpec = spec({
  name: 'invite',
  summary: 'print the command and the token with which another host joins the fleet',
  details:
    'Run it on the host that holds the CA. The printed `godwit join` asks for the token, and brings the new host its ' +
    'certificate, the CA and a place on the list of every host. The token works once.',
  args: {
    name: { kind: 'text', summary: "the new host's name", required: true },
  },
  flags: {
    addresses: {
      kind: 'text',
      value: 'list',
      summary:
        'its IP addresses and further DNS names, with commas between; the first is where others reach it (required)',
    },
    valid: { kind: 'duration', summary: 'how long the token works', preset: '1h' },
    days: { kind: 'count', summary: 'how long its certificates are valid (default: 30)' },
    config: { ...config, summary: "this host's configuration: says where the CA is" },
  },
  examples: ['invite b --addresses 10.0.0.2', 'invite b --addresses 10.0.0.2,b.example.net'],
  json: 'invitation',
});

export const joinSpec = spec({
  name: 'join',
  summary: 'set this host up as one more of a fleet, with what `godwit invite` printed',
  details:
    'Makes a key on this host, which never leaves it, has it signed by the CA that the token names, and writes a ' +
    'configuration as `godwit init` does. A configuration that is there is kept: the host only gets its certificate anew. ' +
    'Asks for the token at a terminal; `-` reads it from standard input. Given as a word, every user of this host can read it ' +
    'in the list of processes while the command runs, and shells keep it in their history.',
  args: {
    token: {
      kind: 'text',
      summary: 'the token that `godwit invite` printed; - reads standard input',
    },
  },
  flags: { storage, config, stateDir },
  examples: ['join', 'join -'],
  json: 'setUp',
});

export const agentSpec = spec({
  name: 'agent',
  summary: "run this host's agent in the foreground",
  flags: {
    config: {
      kind: 'file',
      value: 'file',
      summary: 'its configuration (JSON)',
      preset: '/etc/godwit/agent.json',
    },
  },
  examples: ['agent', 'agent --config /srv/godwit/agent.json'],
});

export const reloadSpec = spec({
  name: 'reload',
  summary: 'have an agent read its configuration again, without a restart',
  details:
    'The agent applies in one step all that can change while it runs, or nothing if anything in the file is wrong. It names ' +
    'what takes effect only with a restart. SIGHUP to an agent without a terminal does the same, and its log has the answer.',
  flags: {
    dryRun: { kind: 'switch', summary: 'show what would be applied, and apply nothing' },
  },
  examples: ['reload --dry-run', 'reload'],
  usesAgent: true,
  json: 'reloaded',
});

export const controllerSpec = spec({
  name: 'controller',
  summary: 'run a controller of the fleet in the foreground',
  details:
    'It follows every host of the fleet, and keeps what it is asked for in a database: a file, or a PostgreSQL that several ' +
    'controllers share. See docs/fleet.md.',
  flags: {
    config: {
      kind: 'file',
      value: 'file',
      summary: 'its configuration (JSON)',
      preset: '/etc/godwit/controller.json',
    },
    database: {
      kind: 'text',
      value: 'sqlite:PATH',
      summary: 'an SQLite file, instead of the configured database',
    },
  },
  examples: ['controller', 'controller --config /srv/controller.json --database sqlite:/srv/c.db'],
});

export const relaySpec = spec({
  name: 'relay',
  summary: 'run a relay between sites in the foreground',
  details:
    'Hosts of two sites that cannot reach each other both call it, and it joins their streams. It sees nothing of what they ' +
    'say, and stores nothing. It needs a certificate of the role relay. See docs/sites.md.',
  flags: {
    config: {
      kind: 'file',
      value: 'file',
      summary: 'its configuration (JSON)',
      preset: '/etc/godwit/relay.json',
    },
  },
  examples: ['relay', 'relay --config /srv/godwit/relay.json'],
});

export const versionSpec = spec({
  name: 'version',
  summary: 'print the versions of Godwit, its protocol and Node',
  examples: ['version --json'],
  json: 'version',
});

export const doctorSpec = spec({
  name: 'doctor',
  summary: 'say what this host has and lacks for migration, and how to fix it',
  flags: {
    config: {
      kind: 'file',
      value: 'file',
      summary: "the agent's configuration, to check its ports, folders and certificates",
    },
    manager: {
      kind: 'text',
      value: 'name',
      summary:
        'ask the manager that has this section of `drivers` in the configuration whether Godwit can work with it; reads only',
    },
    leftovers: {
      kind: 'switch',
      summary: 'list what earlier crashes have left on the hosts, as their agents find it',
    },
    clear: { kind: 'switch', summary: 'with --leftovers: clear what is safe to clear' },
  },
  examples: [
    'doctor',
    'doctor --json',
    'doctor --manager vsphere --config /etc/godwit/agent.json',
    'doctor --leftovers',
    'doctor --leftovers --clear',
  ],
  usesAgent: true,
  json: 'doctor (with --leftovers: leftovers)',
});

export const completionSpec = spec({
  name: 'completion',
  summary: 'print the completion script for a shell',
  details:
    'For bash: add `source <(godwit completion bash)` to ~/.bashrc. ' +
    'For zsh: add `source <(godwit completion zsh)` to ~/.zshrc, after compinit.',
  args: {
    shell: { kind: 'choice', choices: ['bash', 'zsh'], summary: 'the shell to print it for' },
  },
  flags: {
    names: {
      kind: 'choice',
      choices: ['guest', 'host', 'migration', 'context'],
      summary: 'print the names that a word can be completed to',
      hidden: true,
    },
  },
  examples: ['completion bash', 'completion zsh'],
});
