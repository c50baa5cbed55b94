"""Questions in English with one answer in two languages: English, and the same in Spanish."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SpanishPair:
    """One English question with its answer in English and in Spanish."""

    id: str
    question: str
    english: str
    spanish: str


ANSWERS: tuple[tuple[str, str, str], ...] = (
    (
        "Why is the sky blue during the day?",
        "Air scatters blue light much more strongly than red light, so blue reaches our eyes from every part of the sky.",
        "El aire dispersa la luz azul mucho más que la roja, por eso el azul llega a nuestros ojos desde todas partes del cielo.",
    ),
    (
        "How do I keep cut apples from turning brown?",
        "Sprinkle the slices with a little lemon juice and keep them in a closed container in the fridge.",
        "Rocía los trozos con un poco de zumo de limón y guárdalos en un recipiente cerrado en la nevera.",
    ),
    (
        "What was the Silk Road?",
        "It was a network of trade routes that linked China with the Mediterranean and carried silk, spices and ideas for centuries.",
        "Fue una red de rutas comerciales que unía China con el Mediterráneo y transportó seda, especias e ideas durante siglos.",
    ),
    (
        "How many players does a volleyball team have on the court?",
        "Each team has six players on the court, three near the net and three at the back, and they rotate during the game.",
        "Cada equipo tiene seis jugadores en la pista, tres cerca de la red y tres atrás, y rotan durante el partido.",
    ),
    (
        "Which is the longest river in South America?",
        "The Amazon is the longest river in South America, and it carries more water than any other river in the world.",
        "El Amazonas es el río más largo de América del Sur y lleva más agua que cualquier otro río del mundo.",
    ),
    (
        "How can I sleep better on hot nights?",
        "Close the blinds during the day, open the windows at night and take a lukewarm shower before going to bed.",
        "Baja las persianas durante el día, abre las ventanas por la noche y date una ducha tibia antes de acostarte.",
    ),
    (
        "Why does bread dough rise?",
        "The yeast eats sugars in the flour and gives off gas, and the bubbles stay trapped in the dough and make it swell.",
        "La levadura se come los azúcares de la harina y suelta gas, y las burbujas quedan atrapadas en la masa y la hinchan.",
    ),
    (
        "Who painted the ceiling of the Sistine Chapel?",
        "Michelangelo painted it between 1508 and 1512, standing on a high scaffold that he had designed himself.",
        "La pintó Miguel Ángel entre 1508 y 1512, de pie sobre un andamio alto que él mismo había diseñado.",
    ),
    (
        "What causes the tides?",
        "The gravity of the Moon, helped by that of the Sun, pulls on the oceans and makes the water rise and fall.",
        "La gravedad de la Luna, con ayuda de la del Sol, tira de los océanos y hace que el agua suba y baje.",
    ),
    (
        "How should I store fresh basil?",
        "Put the stems in a glass of water, like a bunch of flowers, and leave it in the kitchen away from direct sunlight.",
        "Pon los tallos en un vaso con agua, como un ramo de flores, y déjalo en la cocina lejos del sol directo.",
    ),
    (
        "What is the capital of Australia?",
        "The capital is Canberra, a planned city that was chosen as a compromise between Sydney and Melbourne.",
        "La capital es Canberra, una ciudad planificada que se eligió como compromiso entre Sídney y Melbourne.",
    ),
    (
        "Why do cats purr?",
        "Cats often purr when they are happy, but they may also do it to calm themselves when they are ill or afraid.",
        "Los gatos suelen ronronear cuando están contentos, pero también pueden hacerlo para calmarse cuando están enfermos o asustados.",
    ),
    (
        "How long is a marathon?",
        "A marathon is a little over forty-two kilometres long, and the best runners finish it in about two hours.",
        "Un maratón mide algo más de cuarenta y dos kilómetros, y los mejores corredores lo terminan en unas dos horas.",
    ),
    (
        "What should I bring to a picnic?",
        "Bring a blanket, fruit, sandwiches, plenty of water and a bag so that you can take the rubbish home.",
        "Lleva una manta, fruta, bocadillos, mucha agua y una bolsa para poder llevarte la basura a casa.",
    ),
    (
        "Why did the Roman Empire build so many roads?",
        "The roads let armies move quickly, and they also made trade and the sending of messages much easier.",
        "Las calzadas permitían que los ejércitos se movieran con rapidez y además facilitaban mucho el comercio y el envío de mensajes.",
    ),
    (
        "What is an eclipse of the Moon?",
        "It happens when the Earth passes between the Sun and the Moon and its shadow falls on the Moon.",
        "Ocurre cuando la Tierra pasa entre el Sol y la Luna y su sombra cae sobre la Luna.",
    ),
    (
        "How do I cook rice so that it does not stick?",
        "Rinse the rice until the water runs clear, cook it over low heat and let it rest for ten minutes before serving.",
        "Lava el arroz hasta que el agua salga clara, cuécelo a fuego lento y déjalo reposar diez minutos antes de servirlo.",
    ),
    (
        "What is the highest mountain in Africa?",
        "It is Kilimanjaro, in Tanzania, a sleeping volcano whose summit is almost six thousand metres high.",
        "Es el Kilimanjaro, en Tanzania, un volcán dormido cuya cumbre alcanza casi los seis mil metros de altura.",
    ),
    (
        "How can I make new friends in a new city?",
        "Join a club or a class that meets every week, because friendship grows when you see the same people again and again.",
        "Apúntate a un club o a un curso que se reúna cada semana, porque la amistad crece al ver una y otra vez a la misma gente.",
    ),
    (
        "Why is ice lighter than water?",
        "When water freezes, its molecules arrange themselves in an open pattern that takes up more space, so ice floats.",
        "Cuando el agua se congela, sus moléculas se ordenan en una estructura abierta que ocupa más espacio, por eso el hielo flota.",
    ),
    (
        "What is the offside rule for?",
        "It stops attackers from waiting next to the goal, so teams have to build their attacks with passes and movement.",
        "Impide que los delanteros esperen junto a la portería, así que los equipos deben construir sus ataques con pases y movimiento.",
    ),
    (
        "How often should I change my toothbrush?",
        "Dentists advise changing it every three months, or sooner if the bristles are bent or if you have been ill.",
        "Los dentistas aconsejan cambiarlo cada tres meses, o antes si las cerdas están dobladas o si has estado enfermo.",
    ),
    (
        "Who was Cleopatra?",
        "She was the last queen of ancient Egypt, known for her intelligence and for her alliances with two Roman leaders.",
        "Fue la última reina del antiguo Egipto, conocida por su inteligencia y por sus alianzas con dos líderes romanos.",
    ),
    (
        "Why do leaves change colour in autumn?",
        "Trees stop making the green pigment when the days get shorter, and the yellow and red tones become visible.",
        "Los árboles dejan de producir el pigmento verde cuando los días se acortan, y entonces se ven los tonos amarillos y rojos.",
    ),
    (
        "What goes into a classic omelette?",
        "You only need eggs, butter, salt and pepper; cheese, herbs or mushrooms are welcome but not necessary.",
        "Solo necesitas huevos, mantequilla, sal y pimienta; el queso, las hierbas o los champiñones son bienvenidos, pero no imprescindibles.",
    ),
    (
        "Which ocean is the largest?",
        "The Pacific is the largest ocean, and it covers almost a third of the surface of our planet.",
        "El Pacífico es el océano más grande y cubre casi un tercio de la superficie de nuestro planeta.",
    ),
    (
        "How do bees make honey?",
        "They collect nectar from flowers, mix it with their own enzymes and fan it with their wings until it becomes thick.",
        "Recogen el néctar de las flores, lo mezclan con sus propias enzimas y lo airean con las alas hasta que se espesa.",
    ),
    (
        "What can I do when I miss my bus?",
        "Check when the next one leaves, tell whoever is waiting for you, and use the time for a short walk.",
        "Mira cuándo sale el siguiente, avisa a quien te esté esperando y aprovecha el tiempo para dar un paseo corto.",
    ),
    (
        "When did people first walk on the Moon?",
        "Two American astronauts walked on the Moon in July 1969, while a third one stayed in orbit above them.",
        "Dos astronautas estadounidenses caminaron por la Luna en julio de 1969, mientras un tercero permanecía en órbita sobre ellos.",
    ),
    (
        "Why does a bicycle stay upright when it moves?",
        "When it begins to fall, the front wheel turns towards that side, and this brings the wheels back under the rider.",
        "Cuando empieza a caerse, la rueda delantera gira hacia ese lado, y eso vuelve a colocar las ruedas debajo del ciclista.",
    ),
    (
        "What is the difference between a violin and a viola?",
        "The viola is a little larger and is tuned lower, so its sound is darker and warmer than that of the violin.",
        "La viola es un poco más grande y está afinada más grave, por eso suena más oscura y cálida que el violín.",
    ),
    (
        "How do I look after a cactus?",
        "Give it a lot of light and very little water, and let the soil dry out completely before you water it again.",
        "Dale mucha luz y muy poca agua, y deja que la tierra se seque por completo antes de volver a regarlo.",
    ),
    (
        "Where do penguins live?",
        "Almost all penguins live in the southern hemisphere, from the ice of Antarctica to the warm islands of the Galápagos.",
        "Casi todos los pingüinos viven en el hemisferio sur, desde los hielos de la Antártida hasta las cálidas islas Galápagos.",
    ),
    (
        "Why do we yawn?",
        "Nobody knows for certain; yawning may help to keep us awake, and seeing somebody else yawn often makes us yawn too.",
        "Nadie lo sabe con certeza; bostezar quizá ayude a mantenernos despiertos, y ver bostezar a otra persona a menudo nos contagia.",
    ),
    (
        "What is a haiku?",
        "It is a very short Japanese poem that usually captures one moment in nature in three brief lines.",
        "Es un poema japonés muy breve que suele captar un instante de la naturaleza en tres versos cortos.",
    ),
    (
        "How can I save money on food?",
        "Plan the meals of the week, buy fruit and vegetables in season and cook enough to have leftovers for lunch.",
        "Planifica las comidas de la semana, compra fruta y verdura de temporada y cocina lo suficiente para que sobre para el almuerzo.",
    ),
    (
        "What did Marie Curie discover?",
        "Together with her husband she discovered two elements, polonium and radium, and she won two Nobel prizes for her work.",
        "Junto con su marido descubrió dos elementos, el polonio y el radio, y ganó dos premios Nobel por su trabajo.",
    ),
    (
        "Why is the sea salty?",
        "Rain slowly dissolves minerals from the rocks, and rivers have been carrying them to the sea for millions of years.",
        "La lluvia disuelve poco a poco los minerales de las rocas, y los ríos llevan millones de años arrastrándolos hasta el mar.",
    ),
    (
        "What is a good warm-up before swimming?",
        "Move your shoulders and hips gently for five minutes and then swim a few easy lengths before you speed up.",
        "Mueve los hombros y las caderas con suavidad durante cinco minutos y luego nada unos largos tranquilos antes de acelerar.",
    ),
    (
        "Which country has the most time zones?",
        "If its overseas territories are counted, France has the most time zones, twelve in all, ahead of Russia.",
        "Si se cuentan sus territorios de ultramar, Francia tiene más husos horarios que nadie, doce en total, por delante de Rusia.",
    ),
    (
        "How do I remove a splinter?",
        "Wash the skin, pull the splinter out with clean tweezers in the direction it went in, and disinfect the spot.",
        "Lava la piel, saca la astilla con unas pinzas limpias en la misma dirección en que entró y desinfecta la zona.",
    ),
    (
        "Why was the Eiffel Tower built?",
        "It was built as the entrance to the World's Fair of 1889, and it was meant to stand for only twenty years.",
        "Se construyó como entrada a la Exposición Universal de 1889 y estaba previsto que durara solo veinte años.",
    ),
    (
        "What is thunder?",
        "Lightning heats the air so quickly that it expands like an explosion, and thunder is the sound of that wave.",
        "El rayo calienta el aire tan deprisa que este se expande como una explosión, y el trueno es el sonido de esa onda.",
    ),
    (
        "How do you make a simple tomato sauce?",
        "Fry garlic gently in olive oil, add chopped tomatoes and salt, and let the sauce simmer for twenty minutes.",
        "Sofríe ajo a fuego suave en aceite de oliva, añade tomates picados y sal, y deja cocer la salsa veinte minutos.",
    ),
    (
        "What is the smallest country in the world?",
        "Vatican City is the smallest country; it lies inside Rome and you can walk around it in less than an hour.",
        "La Ciudad del Vaticano es el país más pequeño; está dentro de Roma y se puede rodear a pie en menos de una hora.",
    ),
    (
        "How can I learn to juggle?",
        "Begin with one ball, throw it from hand to hand at eye level, and add the second and third ball later.",
        "Empieza con una sola pelota, lánzala de una mano a otra a la altura de los ojos y añade después la segunda y la tercera.",
    ),
    (
        "Why do we have leap years?",
        "The Earth needs almost a quarter of a day more than 365 days to go around the Sun, so we add a day every four years.",
        "La Tierra tarda casi un cuarto de día más de 365 días en dar la vuelta al Sol, así que cada cuatro años añadimos un día.",
    ),
    (
        "Who wrote Don Quixote?",
        "Miguel de Cervantes wrote it in two parts, the first of which appeared in 1605 and the second ten years later.",
        "La escribió Miguel de Cervantes en dos partes: la primera apareció en 1605 y la segunda, diez años después.",
    ),
    (
        "What should I do if I get lost in the forest?",
        "Stay calm, stop walking, call for help if you have a signal, and try to keep warm until somebody finds you.",
        "Mantén la calma, deja de caminar, pide ayuda si tienes cobertura e intenta no pasar frío hasta que alguien te encuentre.",
    ),
    (
        "Why do stars twinkle?",
        "Their light crosses moving layers of warm and cold air, which bend it a little differently at every moment.",
        "Su luz atraviesa capas de aire cálido y frío en movimiento, que la desvían de forma un poco distinta a cada instante.",
    ),
    (
        "What is the best way to clean a wooden table?",
        "Wipe it with a damp cloth and a drop of mild soap, dry it at once and rub in a little oil now and then.",
        "Pásale un paño húmedo con una gota de jabón suave, sécala enseguida y aplícale un poco de aceite de vez en cuando.",
    ),
    (
        "How does a chess game end in a draw?",
        "The players may agree on it, the same position may appear three times, or a player may have no legal move.",
        "Los jugadores pueden acordarlo, la misma posición puede repetirse tres veces o un jugador puede quedarse sin jugadas legales.",
    ),
    (
        "Where does chocolate come from?",
        "It is made from the seeds of the cacao tree, which are fermented, dried, roasted and ground into a paste.",
        "Se hace con las semillas del árbol del cacao, que se fermentan, se secan, se tuestan y se muelen hasta formar una pasta.",
    ),
    (
        "How can I remember people's names?",
        "Say the name aloud when you hear it and link it in your mind with something you notice about the person.",
        "Di el nombre en voz alta cuando lo oigas y relaciónalo en tu mente con algo que te llame la atención de esa persona.",
    ),
    (
        "What was the printing press good for?",
        "It made books far cheaper, so that new ideas could spread quickly and many more people learned to read.",
        "Abarató muchísimo los libros, de modo que las ideas nuevas se difundieron con rapidez y mucha más gente aprendió a leer.",
    ),
    (
        "Why does metal feel colder than wood?",
        "Metal conducts the heat away from your hand much faster than wood, although both have the same temperature.",
        "El metal se lleva el calor de la mano mucho más rápido que la madera, aunque ambos estén a la misma temperatura.",
    ),
    (
        "What is a glacier?",
        "It is a huge mass of ice, formed from packed snow, that slides very slowly down a valley under its own weight.",
        "Es una enorme masa de hielo, formada por nieve compactada, que baja muy despacio por un valle debido a su propio peso.",
    ),
    (
        "How do I choose a ripe melon?",
        "Smell the end opposite the stem: a ripe melon smells sweet there, gives a little when pressed and feels heavy.",
        "Huele el extremo opuesto al tallo: un melón maduro huele dulce por ahí, cede un poco al apretarlo y pesa bastante.",
    ),
    (
        "What does a goalkeeper do at a corner kick?",
        "The goalkeeper organises the defenders, watches the near post and comes out to catch or punch the high balls.",
        "El portero organiza a los defensas, vigila el primer palo y sale a atrapar o despejar de puños los balones altos.",
    ),
    (
        "Is it better to walk in the morning or in the evening?",
        "Both are good for you: morning light helps you wake up, and an evening walk helps you to leave the day behind.",
        "Las dos cosas son buenas: la luz de la mañana ayuda a despertarse y un paseo al atardecer ayuda a dejar atrás el día.",
    ),
)


def load_pairs() -> list[SpanishPair]:
    """The pairs, in a fixed order."""
    return [SpanishPair(f"spanish-{number:02d}", *texts) for number, texts in enumerate(ANSWERS)]
