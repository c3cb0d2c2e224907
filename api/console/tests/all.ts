import "./fleet";
import "./buckets";
import "./map";
import "./past";
import "./usage";
