import { BlockListReader } from './block-list.ts';
import { subsection, type StreamConfiguration } from './configuration.ts';
import { text, u16, u32, u64 } from './fields.ts';
import {
  COMMAND,
  COMMANDS,
  ELEMENT,
  FILE_MAGIC,
  FILE_VERSION,
  MAX_PAGE_BYTES,
  MIN_PAGE_BYTES,
  RAM_SECTION,
} from './format.ts';
import { element, sectionHeader } from './plausible.ts';
import { resync } from './resync.ts';
import { RamFramer } from './records.ts';

/**
 * Parser's state. `device`: in a payload of unknown length. `lost`: position unknown. It leaves these two where
 * resync.ts finds a section, and at the end of a package.
 */
type State =
  | 'file'
  | 'first'
  | 'configuration'
  | 'element'
  | 'ram'
  | 'ram-list'
  | 'after-ram'
  | 'device'
  | 'after-end'
  | 'lost';

const MAX_MACHINE_NAME = 1024;

/** Main channel, from the file header, or from a command if post-copy recovers on a new connection. */
export class MainChannel extends RamFramer {
  #state: State = 'file';
  /** Open section; undefined when lost. */
  #section: number | undefined;
  #packageBytes: number | undefined;
  #configured: StreamConfiguration = {};
  #advised = false;
  readonly #list = new BlockListReader();

  protected step(bytes: Uint8Array, at: number, end: number): number {
    const left = this.#packageBytes;
    if (left === undefined || end - at < left) return this.#parse(bytes, at, end, this.ended);
    const used = this.#parse(bytes, at, at + left, true);
    if (used >= 0) return used;
    // It needs more than the package has, so the rest is something else.
    this.#lose('an item runs over the end of its package');
    this.pass('unknown', left);
    return 0;
  }

  protected override advanced(bytes: number): void {
    if (this.#packageBytes === undefined || bytes === 0) return;
    this.#packageBytes -= bytes;
    if (this.#packageBytes > 0) return;
    this.#packageBytes = undefined;
    if (this.#state === 'lost') this.note({ type: 'found', atByte: this.position });
    this.#state = 'element';
    this.#section = undefined;
  }

  #parse(bytes: Uint8Array, at: number, end: number, last: boolean): number {
    switch (this.#state) {
      case 'file':
        return this.#file(bytes, at, end);
      case 'first':
        return this.#first(bytes, at, end);
      case 'configuration':
        return this.#configuration(bytes, at, end);
      case 'element':
        return this.#element(bytes, at, end);
      case 'ram':
        return this.ramRecord(bytes, at, end) || this.#lose('not a RAM record');
      case 'ram-list':
        return this.#ramList(bytes, at, end);
      case 'after-ram':
        return this.#afterRam(bytes, at, end);
      case 'after-end':
        return this.#afterEnd(bytes, at, end);
      case 'device':
      case 'lost':
        return this.#seek(bytes, at, end, last);
    }
  }

  #lose(why: string): 0 {
    this.#state = 'lost';
    this.#section = undefined;
    this.note({ type: 'lost', atByte: this.position, why });
    return 0;
  }

  #file(bytes: Uint8Array, at: number, end: number): number {
    this.#state = 'element';
    if (bytes[at] !== FILE_MAGIC >>> 24) return 0;
    this.#state = 'file';
    if (end - at < 8) return -8;
    if (u32(bytes, at) !== FILE_MAGIC || u32(bytes, at + 4) !== FILE_VERSION) {
      return this.#lose('not the header of a migration stream');
    }
    this.span('file-header', bytes, at, at + 8);
    this.#state = 'first';
    return 8;
  }

  #first(bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] !== ELEMENT.CONFIGURATION) {
      this.#state = 'element';
      return 0;
    }
    if (end - at < 5) return -5;
    const length = u32(bytes, at + 1);
    if (length > MAX_MACHINE_NAME) return this.#lose('not the name of a machine type');
    if (end - at < 5 + length) return -5 - length;
    this.span('configuration', bytes, at, at + 5 + length);
    this.#state = 'configuration';
    return 5 + length;
  }

  #configuration(bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] !== ELEMENT.SUBSECTION) {
      this.#state = 'element';
      return 0;
    }
    const used = subsection(bytes, at, end, this.#configured);
    if (used < 0) return used;
    if (used === 0) return this.#lose('a part of the configuration that is not known');
    this.context.pageBytes = this.#configured.pageBytes ?? this.context.pageBytes;
    this.span('configuration', bytes, at, at + used);
    return used;
  }

  #element(bytes: Uint8Array, at: number, end: number): number {
    switch (bytes[at]) {
      case ELEMENT.SECTION_START:
      case ELEMENT.SECTION_FULL:
        return this.#sectionStart(bytes, at, end);
      case ELEMENT.SECTION_PART:
      case ELEMENT.SECTION_END:
        return this.#sectionPart(bytes, at, end);
      case ELEMENT.COMMAND:
        return this.#command(bytes, at, end);
      case ELEMENT.END:
        this.span('end', bytes, at, at + 1);
        this.#state = 'after-end';
        this.note({ type: 'end' });
        return 1;
      default:
        return this.#lose('not an element');
    }
  }

  #sectionStart(bytes: Uint8Array, at: number, end: number): number {
    const used = sectionHeader(bytes, at, end);
    if (used < 0) return used;
    if (used === 0) return this.#lose('not the header of a section');
    const id = u32(bytes, at + 1);
    const name = text(bytes, at + 6, at + used - 8);
    const starts = bytes[at] === ELEMENT.SECTION_START;
    const isRam = starts && name === RAM_SECTION.name;
    const known = isRam && u32(bytes, at + used - 4) === RAM_SECTION.version;
    this.span('section-header', bytes, at, at + used);
    if (starts && (known || !isRam)) this.context.openSection(id, name);
    this.#section = id;
    this.#state = known ? 'ram' : 'device';
    this.note({ type: 'section', phase: starts ? 'start' : 'full', id, name });
    return used;
  }

  #sectionPart(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 5) return -5;
    const id = u32(bytes, at + 1);
    const phase = bytes[at] === ELEMENT.SECTION_PART ? 'part' : 'end';
    this.span('section-header', bytes, at, at + 5);
    this.#section = id;
    this.#state = id === this.context.ramSection ? 'ram' : 'device';
    this.note({ type: 'section', phase, id, name: this.context.sectionName(id) ?? '' });
    return 5;
  }

  #command(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 5) return -5;
    const code = u16(bytes, at + 1);
    const length = u16(bytes, at + 3);
    const format = COMMANDS.get(code);
    if (code === 0 || (format?.payloadBytes ?? length) !== length) {
      return this.#lose('not a command');
    }
    // An unknown command of a newer QEMU also has a length.
    const total = 5 + length;
    if (end - at < total) return -total;
    const payload = at + 5;
    if (code === COMMAND.PACKAGED && this.#packageBytes !== undefined) {
      return this.#lose('a package in a package');
    }
    this.span('command', bytes, at, at + total);
    this.note({ type: 'command', code, name: format?.name ?? '' });
    if (code === COMMAND.PACKAGED) this.#package(u32(bytes, payload), total);
    if (code === COMMAND.POSTCOPY_ADVISE && length === 16) this.#advise(u64(bytes, payload + 8));
    return total;
  }

  /** `header`: length of the command, which `advanced` subtracts. */
  #package(bytes: number, header: number): void {
    if (bytes > 0) this.#packageBytes = bytes + header;
    this.note({ type: 'package', bytes });
  }

  #advise(pageBytes: number): void {
    this.#advised = true;
    const usable = Number.isInteger(Math.log2(pageBytes));
    if (usable && pageBytes >= MIN_PAGE_BYTES && pageBytes <= MAX_PAGE_BYTES) {
      this.context.pageBytes = pageBytes;
    }
  }

  protected ramListBegins(totalBytes: number): boolean {
    if (this.#configured.mappedRam === true || totalBytes === 0) return false;
    this.#list.begin(totalBytes);
    this.#state = 'ram-list';
    return true;
  }

  protected ramEnded(): void {
    this.#state = 'after-ram';
    this.note({ type: 'ram-section-end' });
  }

  #ramList(bytes: Uint8Array, at: number, end: number): number {
    if (this.#list.complete) {
      this.context.setBlocks(this.#list.blocks);
      this.#state = 'ram';
      this.note({ type: 'blocks', blocks: this.context.blocks });
      return 0;
    }
    const used = this.#list.take(bytes, at, end, {
      advised: this.#advised,
      guestAddress: this.#configured.ignoreShared === true,
    });
    if (used < 0) return used;
    if (used === 0) return this.#lose('not a list of RAM blocks');
    this.span('ram-list', bytes, at, at + used);
    return used;
  }

  #afterRam(bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] !== ELEMENT.FOOTER) {
      this.#state = 'element';
      return 0;
    }
    if (end - at < 5) return -5;
    if (u32(bytes, at + 1) !== this.#section) return this.#lose('the footer of another section');
    return this.#footer(bytes, at);
  }

  #footer(bytes: Uint8Array, at: number): number {
    this.span('section-footer', bytes, at, at + 5);
    this.#state = 'element';
    this.#section = undefined;
    return 5;
  }

  #afterEnd(bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] === ELEMENT.DESCRIPTION) {
      if (end - at < 5) return -5;
      this.span('description', bytes, at, at + 5);
      const left = (this.#packageBytes ?? Number.POSITIVE_INFINITY) - 5;
      this.pass('description', Math.min(u32(bytes, at + 1), left));
      return 5;
    }
    const next = element(this.context, bytes, at, end);
    if (next < 0) return next;
    if (next === 0) return this.#lose('nothing is known to follow the end');
    this.#state = 'element';
    return 0;
  }

  /** Passes on unrecognized bytes up to a place where the parser can continue. */
  #seek(bytes: Uint8Array, at: number, end: number, last: boolean): number {
    const lost = this.#state === 'lost';
    const records = (from: number): number => this.place(bytes, from, end);
    const place = resync(this.context, this.#section, records, { bytes, at, end, last });
    if (place.at > at) {
      this.span(lost ? 'unknown' : 'device', bytes, at, place.at);
      // The found place is parsed again, with nothing before it.
      return place.at - at;
    }
    if (place.kind === 'more') return -place.needed;
    if (lost) this.note({ type: 'found', atByte: this.position });
    if (place.kind === 'footer') return this.#footer(bytes, at);
    this.#state = 'element';
    return 0;
  }
}
