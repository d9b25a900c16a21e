/** French: what only the login page says. */
export default {
  login_compare: 'Votre espace de travail affiche‑t‑il ce code ?',
  login_compare_help: 'Ne continuez que si le widget vidéo de votre propre espace de travail affiche exactement ce code. Si quelqu’un vous a envoyé ici, fermez cette page.',
  login_continue: 'Oui, continuer',
  login_done: 'Connexion réussie',
  login_done_help: 'Vous pouvez fermer cette fenêtre et revenir à votre espace de travail.',
  login_refused: 'Cela n’a pas fonctionné',
  login_refused_help: 'Fermez cette fenêtre et reconnectez‑vous depuis votre espace de travail.',
};
