/** The colours of both themes, once: the stylesheet is made from them and the contrast test reads them. */
export interface Colours {
  ground: string
  card: string
  /** Code and hover. */
  sunken: string
  ink: string
  quiet: string
  /** Decoration only. */
  line: string
  /** Edges of fields and tiles. */
  edge: string
  accent: string
  /** Accent under the pointer. */
  strong: string
  'on-accent': string
  link: string
  focus: string
  danger: string
  'danger-ground': string
  warn: string
  'warn-ground': string
  ok: string
  'ok-ground': string
  info: string
  'info-ground': string
  /** What is left of the countdown's ring. */
  track: string
}

export const light: Colours = {
  ground: '#F3F1EC',
  card: '#FFFFFF',
  sunken: '#F7F6F2',
  ink: '#1C211E',
  quiet: '#545D57',
  line: '#D5D1C8',
  edge: '#747B75',
  accent: '#0B6656',
  strong: '#084F43',
  'on-accent': '#FFFFFF',
  link: '#0B6656',
  focus: '#1652C4',
  danger: '#A8201A',
  'danger-ground': '#FCEEEC',
  warn: '#7A4A00',
  'warn-ground': '#FDF3DF',
  ok: '#17663A',
  'ok-ground': '#EAF5EE',
  info: '#1F4E8C',
  'info-ground': '#EAF1FA',
  track: '#D5D1C8',
}

export const dark: Colours = {
  ground: '#121513',
  card: '#1B201D',
  sunken: '#151917',
  ink: '#EDF0EC',
  quiet: '#A8B2AB',
  line: '#38403B',
  edge: '#87918A',
  accent: '#63D0B6',
  strong: '#86DFC9',
  'on-accent': '#06231D',
  link: '#7CDAC3',
  focus: '#A3C7FF',
  danger: '#FFB3A8',
  'danger-ground': '#3A1B18',
  warn: '#F3C568',
  'warn-ground': '#33260D',
  ok: '#88DCA8',
  'ok-ground': '#142E1E',
  info: '#A9CBFA',
  'info-ground': '#17263B',
  track: '#38403B',
}
