/** German: what only the guest page says. */
export default {
  join_title: 'Sie sind eingeladen',
  join_help: 'Sie wurden zu einem Videogespräch eingeladen. Nennen Sie Ihren Namen, prüfen Sie Ihr Bild und treten Sie bei.',
  your_name: 'Ihr Name',
  joining: 'Sie treten bei…',
  join_no_code: 'Dieser Link ist nicht vollständig',
  join_no_code_help: 'Bitte öffnen Sie den Link genau so, wie Sie ihn bekommen haben.',
  over_link: 'Um wieder dazuzukommen, bitten Sie um einen neuen Link.',
  over_page: 'Sie können diese Seite schließen.',
};
