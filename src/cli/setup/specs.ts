import { spec, type Flag } from '../verb.ts';

/** Verbs for the setup of hosts and shells, and for programs on hosts. Data only: the help must not cost an import. */

const config = {
  kind: 'file',
  value: 'file',
  summary: "the agent's configuration file, which is written",
  preset: '/etc/godwit/agent.json',
} as const satisfies Flag;

const stateDir = {
  kind: 'file',
  value: 'directory',
  summary: "directory for all of Godwit's data on this host",
  preset: '/var/lib/godwit',
} as const satisfies Flag;

const storage = {
  kind: 'file',
  value: 'directory',
  summary:
    'a directory with guest disks; repeat it for each one (default: the usual directories that exist)',
  repeatable: true,
} as const satisfies Flag;

export const initSpec = spec({
  name: 'init',
  summary: 'set up the first host of a fleet, or a controller',
  details:
    'The first host: detects addresses, storage, bridges and QEMU, tries the port, makes the CA, and writes a ' +
    'configuration with a text file that explains each line. A controller: makes its certificate, its configuration ' +
    'and the first administrator, and prints the address of the dashboard. If this host does not hold the CA, it ' +
    'asks for the token of `godwit invite NAME --controller`. Changes nothing if a configuration exists. Ends with ' +
    'the next command to run.',
  args: {
    name: {
      kind: 'text',
      summary: "the host's name (default: its hostname), or the controller's (default: control)",
    },
  },
  flags: {
    address: {
      kind: 'text',
      value: 'ip[:port]',
      summary:
        'how other hosts reach this one (default: the address of the default route, and port 7443). A controller ' +
        'listens on 7444, and its dashboard on the next port',
    },
    controller: { kind: 'switch', summary: 'set up a controller on this host' },
    token: {
      kind: 'text',
      value: 'token',
      summary: 'for a controller: the token of `godwit invite`; - reads standard input',
    },
    ca: {
      kind: 'file',
      value: 'directory',
      summary: "for a controller: the CA's directory (default: caDir of this host's agent)",
    },
    storage,
    config: {
      kind: 'file',
      value: 'file',
      summary:
        'the configuration file, which is written (default: /etc/godwit/agent.json or controller.json)',
    },
    stateDir: {
      kind: 'file',
      value: 'directory',
      summary:
        "directory for Godwit's data (default: /var/lib/godwit, for a controller /var/lib/godwit-controller)",
    },
  },
  examples: [
    'init',
    'init a --address 10.0.0.1 --storage /srv/images',
    'init --controller',
    'init --controller --token -',
  ],
  json: 'setUp (with --controller: controllerSetUp)',
});

export const inviteSpec = spec({
  name: 'invite',
  summary: 'print a token that lets a host or a controller join',
  details:
    'Run it on the host that holds the CA. The printed `godwit join` asks for the token, and gives the new host its ' +
    'certificate, the CA and a place on the list of every host. With --controller, the printed ' +
    '`godwit init --controller` sets up a controller on a host without the CA. The token works once.',
  args: {
    name: { kind: 'text', summary: "the new host's name", required: true },
  },
  flags: {
    addresses: {
      kind: 'text',
      value: 'list',
      summary:
        'its IP addresses and further DNS names, separated by commas; other hosts use the first one (required)',
    },
    controller: { kind: 'switch', summary: 'for a controller' },
    valid: { kind: 'duration', summary: 'how long the token works', preset: '1h' },
    days: {
      kind: 'count',
      summary: 'how long its certificates are valid (default: 30, for a controller 365)',
    },
    config: { ...config, summary: "this host's configuration, which names the CA" },
  },
  examples: [
    'invite b --addresses 10.0.0.2',
    'invite b --addresses 10.0.0.2,b.example.net',
    'invite control --controller --addresses 10.0.0.9',
  ],
  json: 'invitation',
});

export const joinSpec = spec({
  name: 'join',
  summary: 'add this host to a fleet, with the token from `godwit invite`',
  details:
    'Makes a key that never leaves this host, has it signed by the CA that the token names, and writes a ' +
    'configuration as `godwit init` does. An existing configuration is kept: the host only gets a new certificate. ' +
    'Asks for the token at a terminal; `-` reads it from standard input. As an argument, the token is visible to ' +
    'every user of this host in the list of processes, and shells keep it in their history.',
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
  examples: ['serve agent', 'serve agent --config /srv/godwit/agent.json'],
});

export const reloadSpec = spec({
  name: 'reload',
  summary: "reload an agent's configuration without a restart",
  details:
    'The agent applies all changes that need no restart in one step, or nothing if the file has an error. It names ' +
    'the settings that take effect only after a restart. SIGHUP to an agent without a terminal does the same; the ' +
    'answer is then in its log.',
  flags: {
    dryRun: { kind: 'switch', summary: 'show the changes without applying them' },
  },
  examples: ['reload --dry-run', 'reload'],
  uses: 'host',
  json: 'reloaded',
});

export const controllerSpec = spec({
  name: 'controller',
  summary: 'run a controller of the fleet in the foreground',
  details:
    'It follows every host of the fleet, and keeps the requests in a database: a file, or a PostgreSQL that several ' +
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
  examples: [
    'serve controller',
    'serve controller --config /srv/controller.json --database sqlite:/srv/c.db',
  ],
});

export const relaySpec = spec({
  name: 'relay',
  summary: 'run a relay between sites in the foreground',
  details:
    'Hosts of two sites that cannot reach each other connect to the relay, and it joins their streams. It cannot ' +
    'read the data, and stores nothing. It needs a certificate of the role relay. See docs/sites.md.',
  flags: {
    config: {
      kind: 'file',
      value: 'file',
      summary: 'its configuration (JSON)',
      preset: '/etc/godwit/relay.json',
    },
  },
  examples: ['serve relay', 'serve relay --config /srv/godwit/relay.json'],
});

export const versionSpec = spec({
  name: 'version',
  summary: 'print the versions of Godwit, its protocol and Node',
  examples: ['version --json'],
  json: 'version',
});

export const doctorSpec = spec({
  name: 'doctor',
  summary: 'check this host for migration, and show how to fix what is missing',
  flags: {
    config: {
      kind: 'file',
      value: 'file',
      summary: "the agent's configuration, to check its ports, folders and certificates",
    },
    driver: {
      kind: 'text',
      value: 'name',
      summary:
        'check whether Godwit can work with the manager in this section of `drivers` in the configuration; read-only',
    },
    leftovers: {
      kind: 'switch',
      summary: 'list the leftovers of earlier crashes that the agents find on their hosts',
    },
    clear: { kind: 'switch', summary: 'with --leftovers: remove those that are safe to remove' },
  },
  examples: [
    'doctor',
    'doctor --json',
    'doctor --driver vsphere --config /etc/godwit/agent.json',
    'doctor --leftovers',
    'doctor --leftovers --clear',
  ],
  uses: 'host',
  json: 'doctor (with --leftovers: leftovers)',
});

export const completionSpec = spec({
  name: 'completion',
  summary: 'print the completion script for a shell',
  details:
    'Bash: add `source <(godwit completion bash)` to ~/.bashrc. ' +
    'Zsh: add `source <(godwit completion zsh)` to ~/.zshrc, after compinit.',
  args: {
    shell: { kind: 'choice', choices: ['bash', 'zsh'], summary: 'the shell' },
  },
  flags: {
    names: {
      kind: 'choice',
      choices: ['guest', 'host', 'migration', 'context'],
      summary: 'print the completions of a word',
      hidden: true,
    },
  },
  examples: ['completion bash', 'completion zsh'],
});
