/** French: what only the guest page says. */
export default {
  join_title: 'Vous avez une invitation',
  join_help: 'On vous propose de rejoindre une session vidéo. Dites qui vous êtes, vérifiez votre image et rejoignez-nous.',
  your_name: 'Votre nom',
  joining: 'Connexion…',
  join_no_code: 'Ce lien est incomplet',
  join_no_code_help: 'Ouvrez le lien exactement comme vous l’avez reçu.',
  over_link: 'Pour revenir, demandez un nouveau lien.',
  over_page: 'Vous pouvez fermer cette page.',
};
