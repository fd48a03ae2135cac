import { StreamContext } from './context.ts';
import { ELEMENT, FILE_MAGIC, MULTIFD } from './format.ts';
import { MainChannel } from './main-channel.ts';
import { MultifdChannel } from './multifd-channel.ts';
import { PreemptChannel } from './preempt-channel.ts';
import type { ChannelParser, StreamSink } from './types.ts';

export type ChannelKind = 'main' | 'multifd' | 'preempt';

/** Kind of a migration's connection, by the source's first byte. */
export function channelKind(firstByte: number, context: StreamContext): ChannelKind {
  switch (firstByte) {
    case FILE_MAGIC >>> 24:
    // A recovered post-copy starts a new main channel with a command.
    case ELEMENT.COMMAND:
      return 'main';
    case MULTIFD.MAGIC >>> 24:
      return 'multifd';
    default:
      return context.blocks.length > 0 ? 'preempt' : 'main';
  }
}

const PARSERS = { main: MainChannel, multifd: MultifdChannel, preempt: PreemptChannel };

/**
 * Parser for one connection from source to destination; the first byte shows its kind. All connections of a
 * migration share a context.
 */
export function parseChannel(
  sink: StreamSink,
  context: StreamContext = new StreamContext(),
): ChannelParser {
  let parser: ChannelParser | undefined;
  return {
    push(chunk) {
      const [first] = chunk;
      if (first === undefined) return;
      parser ??= new PARSERS[channelKind(first, context)](sink, context);
      parser.push(chunk);
    },
    flush: () => parser?.flush(),
    end: () => parser?.end(),
    get heldBytes() {
      return parser?.heldBytes ?? 0;
    },
  };
}
