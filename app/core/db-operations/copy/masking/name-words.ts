/** What the name of a column says about its values, in the languages that schemas are written in. */
export type Meaning =
  | 'email'
  | 'phone'
  | 'name'
  | 'birth'
  | 'address'
  | 'number of a person'
  | 'secret'
  | 'free text'
  | 'network'
  | 'user'
  | 'sensitive'
  | 'technical';

/** Names as they are once accents and spaces are gone; a name also has the meaning of the words that it consists of. */
const WORDS: readonly (readonly [Meaning, string])[] = [
  [
    'secret',
    'password passwort kennwort pwd passwd secret token apikey otp pin salt motdepasse contrasena senha heslo haslo hash credential',
  ],
  ['email', 'email mail emailaddress mailaddress correo courriel eposta epost'],
  [
    'phone',
    'phone mobile cell cellphone fax tel telephone telefon telefono telefone telefoon handy mobil mobiltelefon rufnummer portable gsm whatsapp msisdn celular movil',
  ],
  [
    'birth',
    'birth birthday birthdate dob born geburt geburtsdatum geburtstag geboren naissance nacimiento nascita nascimento geboortedatum fodselsdato urodzenia',
  ],
  [
    'number of a person',
    'iban bic account accountnumber kontonummer konto creditcard card cardnumber ssn socialsecurity taxid taxnumber steuernummer steuerid passport ausweis personnummer ' +
      'personalausweis nationalid insurance insurancenumber versichertennummer versicherungsnummer licence license licencenumber licensenumber mrn recordnumber patientennummer dni nie cpf cnpj pesel aadhaar pan bsn nino vat vatid kvnr reisepass',
  ],
  [
    'network',
    'ip ipaddress ipaddr clientip remoteaddress clientaddress useragent mac macaddress device deviceid cookie sessionid',
  ],
  [
    'address',
    'address addr adresse anschrift street strasse str hausnummer housenumber zip zipcode postcode postalcode plz postleitzahl city ort stadt ville rue calle direccion indirizzo via cap ' +
      'endereco rua adres straat woonplaats ulica adresa latitude longitude lat lng lon geo coordinates location',
  ],
  [
    'name',
    'firstname lastname surname fullname givenname familyname middlename maidenname displayname nickname vorname nachname familienname geburtsname zuname ansprechpartner prenom nomdefamille ' +
      'apellido apellidos nombre nombres cognome sobrenome imie nazwisko jmeno prijmeni voornaam achternaam fornavn etternavn fornamn efternamn contactname contactperson patientname customername username login',
  ],
  [
    'free text',
    'note notes notiz notizen comment comments kommentar bemerkung bemerkungen remark remarks message nachricht body content text freetext memo diagnosis diagnose anamnese anamnesis reason grund subject betreff ' +
      'observaciones comentario commentaire opmerking uwagi history complaint symptoms',
  ],
  [
    'sensitive',
    'sex gender geschlecht religion ethnicity race nationality nationalitaet blood bloodgroup blutgruppe salary gehalt income weight height marital familienstand disability',
  ],
  ['user', 'createdby updatedby deletedby changedby modifiedby author actor'],
  [
    'technical',
    'createdat updatedat deletedat createdon updatedon modifiedat insertedat syncedat lastsyncedat archivedat version position sort sortorder ordinal priority enabled active currency locale language timezone ' +
      'quantity price amount total subtotal net tax taxrate rate discount unitprice minutes duration count failedloginattempts attempts debitamount creditamount linenumber checksum revision',
  ],
];

const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  [...WORDS].reverse().flatMap(([meaning, words]) => words.split(' ').map((word) => [word, meaning] as const)),
);

/** Words that say by themselves that a table is about people. */
const PEOPLE =
  /^(user|person|people|patient|customer|client|employee|staff|member|contact|student|teacher|doctor|guest|applicant|candidate|subscriber|tenant|owner|author|benutzer|person|kunde|kunden|mitarbeiter|patienten|mitglied|mitglieder|kontakt|kontakte|personal|utilisateur|cliente|clientes|usuario|usuarios|paciente|pacientes|klant|pacjent)s?$/;

/** @example meaningOf('Geburts-Datum') // 'birth' */
export function meaningOf(name: string): Meaning | null {
  const words = wordsOf(name);
  const whole = MEANINGS.get(words.join(''));
  if (whole !== undefined) return whole;
  // the last words say what it is: customer_email, email_verified_at
  for (let from = 1; from < words.length; from += 1) {
    const end = MEANINGS.get(words.slice(from).join(''));
    if (end !== undefined) return end;
  }
  return MEANINGS.get(words[0] ?? '') ?? null;
}

/** Whether the rows of a table called so are people. */
export function isAboutPeople(table: string): boolean {
  return wordsOf(table).some((word) => PEOPLE.test(word));
}

/** Whether to know a key of a table called so may be enough to get in. */
export function isAboutSecrets(table: string): boolean {
  return wordsOf(table).some((word) =>
    /^(session|token|invitation|invite|secret|credential|sitzung)(s|en)?$/.test(word),
  );
}

function wordsOf(name: string): string[] {
  return name
    .replaceAll('ß', 'ss')
    .replaceAll(/[äÄ]/g, 'a')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '');
}
