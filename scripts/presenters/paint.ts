import pc from 'picocolors';

/** Colours, or none: for a terminal without NO_COLOR and --no-color, or under FORCE_COLOR. */
export type Paint = ReturnType<typeof pc.createColors>;

export function paintFor(stream: { readonly isTTY?: boolean }, wanted: boolean): Paint {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  const allowed = wanted && !NO_COLOR && TERM !== 'dumb';
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0';
  return pc.createColors(allowed && (stream.isTTY === true || forced));
}

/** For text that is no line of its own yet. */
export const NO_PAINT: Paint = pc.createColors(false);
