/** French: what an agent's proof asks. */
export default {
  login_title: 'Connectez‑vous pour la vidéo',
  login_help: 'La connexion s’ouvre dans sa propre fenêtre. N’y continuez que si elle affiche ce code :',
  login_code: 'Code {code}',
  login_open: 'Se connecter avec LivePerson',
  enrol_title: 'Enregistrer ce navigateur',
  enrol_help: 'Saisissez le code que votre administrateur vous a donné. Il sert une fois, pendant un jour.',
  enrol_code: 'Votre code',
  enrol_send: 'Enregistrer',
  enrol_wrong: 'Ce code n’est pas valable. Vérifiez‑le ou demandez‑en un nouveau.',
  link_send: 'Envoyer un lien au client',
  link_text: 'Ouvrez ce lien pour nous parler en vidéo. Il ne sert qu’une fois : {url}',
};
